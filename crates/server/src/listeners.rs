//! The three places berth listens at, taken before anything else begins.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket};

use crate::config::Listeners;

/// All three, bound.
pub(crate) struct Bound {
    pub(crate) public: TcpListener,
    pub(crate) nodes: TcpListener,
    pub(crate) ops: TcpListener,
}

/// Binds all three, or says which one is not to be had.
pub(crate) fn bind(listeners: Listeners) -> Result<Bound> {
    Ok(Bound {
        public: one("listen", listeners.public)?,
        nodes: one("node_listen", listeners.nodes)?,
        ops: one("ops_listen", listeners.ops)?,
    })
}

/// So many connections may wait to be accepted, if the system allows it: who finds no room there tries again a
/// second later at the earliest.
const BACKLOG: u32 = 4096;

fn one(setting: &str, address: SocketAddr) -> Result<TcpListener> {
    listen(address).with_context(|| format!("cannot listen at {address} (the setting {setting})"))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As a program that is started anew needs it.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Bound {
    /// Where they really are, port 0 resolved.
    pub(crate) fn addresses(&self) -> std::io::Result<Listeners> {
        Ok(Listeners {
            public: self.public.local_addr()?,
            nodes: self.nodes.local_addr()?,
            ops: self.ops.local_addr()?,
        })
    }
}
