//! The three places berth listens at, taken before anything else begins.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use crate::config::Listeners;

/// All three, bound.
pub(crate) struct Bound {
    pub(crate) public: TcpListener,
    pub(crate) nodes: TcpListener,
    pub(crate) ops: TcpListener,
}

/// Binds all three, or says which one is not to be had.
pub(crate) async fn bind(listeners: Listeners) -> Result<Bound> {
    Ok(Bound {
        public: one("listen", listeners.public).await?,
        nodes: one("node_listen", listeners.nodes).await?,
        ops: one("ops_listen", listeners.ops).await?,
    })
}

async fn one(setting: &str, address: SocketAddr) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("cannot listen at {address} (the setting {setting})"))
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
