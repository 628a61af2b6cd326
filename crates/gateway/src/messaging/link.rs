//! The state of a session's connection, as the sending of messages needs it.

use std::sync::Arc;

use tokio::{sync::watch, time::Instant};

use super::wire::SessionWire;

/// The connection, which changes with each login and loss.
#[derive(Default)]
pub(super) struct SendLink(watch::Sender<LinkState>);

#[derive(Clone, Default)]
struct LinkState {
    /// `None`: the engine does not run, or has not logged in yet.
    wire: Option<Arc<dyn SessionWire>>,
    /// The time of the login or of the end of WhatsApp's queue. `None`: not connected.
    settled: Option<Instant>,
    /// The number of the connection.
    connection: u64,
}

/// A connection that is logged in.
pub(super) struct Live {
    pub(super) wire: Arc<dyn SessionWire>,
    pub(super) settled: Instant,
    pub(super) connection: u64,
}

impl SendLink {
    pub(super) fn connect(&self, wire: Arc<dyn SessionWire>) {
        self.0.send_modify(|link| {
            let (wire, settled) = (Some(wire), Some(Instant::now()));
            *link = LinkState { wire, settled, connection: link.connection + 1 };
        });
    }

    pub(super) fn drain(&self) {
        self.0.send_modify(|link| {
            link.settled = link.settled.map(|_| Instant::now());
        });
    }

    pub(super) fn disconnect(&self) {
        self.0.send_modify(|link| link.settled = None);
    }

    pub(super) fn detach(&self) {
        self.0.send_modify(|link| (link.wire, link.settled) = (None, None));
    }

    /// Returns the wire of the session, also while the engine reconnects.
    pub(super) fn wire(&self) -> Option<Arc<dyn SessionWire>> {
        self.0.borrow().wire.clone()
    }

    /// Returns the wire of a session that is logged in.
    pub(super) fn live_wire(&self) -> Option<Arc<dyn SessionWire>> {
        let link = self.0.borrow();
        link.wire.clone().filter(|_| link.settled.is_some())
    }

    /// Waits for a connection that is logged in.
    pub(super) async fn live(&self) -> Live {
        let mut changes = self.0.subscribe();
        loop {
            let LinkState { wire, settled, connection } = changes.borrow_and_update().clone();
            if let (Some(wire), Some(settled)) = (wire, settled) {
                return Live { wire, settled, connection };
            }
            // The sender lives as long as this value.
            let _ = changes.changed().await;
        }
    }

    /// Waits until a connection is lost.
    pub(super) async fn lost(&self, live: &Live) {
        let is_lost =
            |link: &LinkState| link.settled.is_none() || link.connection != live.connection;
        drop(self.0.subscribe().wait_for(is_lost).await);
    }

    /// Returns the time at which WhatsApp's queue ended on this connection, if that is later than
    /// `before`.
    pub(super) fn settled_after(&self, live: &Live, before: Instant) -> Option<Instant> {
        let link = self.0.borrow();
        link.settled.filter(|settled| *settled > before && link.connection == live.connection)
    }
}
