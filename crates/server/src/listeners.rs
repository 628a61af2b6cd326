//! The three listeners of the router. They are bound before any other part starts.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use http_hyper::ListenerTls;
use tokio::net::{TcpListener, TcpSocket};

use crate::config::Listeners;

/// The bound listeners.
pub(crate) struct BoundListeners {
    pub(crate) public: TcpListener,
    pub(crate) nodes: TcpListener,
    /// TLS of [`Self::nodes`]; `None` for plain HTTP.
    pub(crate) node_tls: Option<ListenerTls>,
    pub(crate) ops: TcpListener,
}

/// Binds all three listeners.
///
/// # Errors
/// Names the address and the setting that cannot be bound.
pub(crate) fn bind(listeners: Listeners, node_tls: Option<ListenerTls>) -> Result<BoundListeners> {
    Ok(BoundListeners {
        public: bind_one("listen", listeners.public)?,
        nodes: bind_one("node_listen", listeners.nodes)?,
        node_tls,
        ops: bind_one("ops_listen", listeners.ops)?,
    })
}

/// The number of connections that may wait to be accepted, if the system permits it. A client that
/// finds no room retries after at least one second.
const ACCEPT_BACKLOG: u32 = 4096;

fn bind_one(setting: &str, address: SocketAddr) -> Result<TcpListener> {
    listen(address).with_context(|| format!("cannot listen at {address} (the setting {setting})"))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Permits a restart while old connections are in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG)
}

impl BoundListeners {
    /// Returns the bound addresses, with port 0 resolved.
    pub(crate) fn addresses(&self) -> std::io::Result<Listeners> {
        Ok(Listeners {
            public: self.public.local_addr()?,
            nodes: self.nodes.local_addr()?,
            ops: self.ops.local_addr()?,
        })
    }
}
