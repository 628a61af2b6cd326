//! The values that an actor decides by.

use std::{sync::Weak, time::Duration};

use gateway_protocol::{Identity, LoggedOut, PairingWanted, Reason};
use tokio::time::Instant;
use whatsapp_rust::Client;

use super::command::Reply;
use crate::connection::Connection;

/// How often a connection is looked at. The engine itself notices within some 40 s that a network is
/// silent, and does not say so.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// What a session should be doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Closed,
    Connected,
    Pairing(PairingWanted),
}

/// Why a session stays closed although it is wanted running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// WhatsApp closed it for good; a restart or a new start tries again.
    Rejected,
    /// It broke down; a declaration tries again.
    Crashed,
    /// The node lost its router; a declaration tries again.
    Suspended,
}

/// The connection at hand.
pub(super) struct ConnectionHandle {
    pub(super) inner: Connection,
    pub(super) client: Weak<Client>,
    pub(super) restarts: u64,
    pub(super) state: ConnectionState,
    /// When to look next whether the engine is connected, which it does not always tell.
    pub(super) next_check: Instant,
    /// Whether a pairing code was asked for by it.
    pub(super) code_requested: bool,
}

/// Whether a device is linked.
#[derive(Clone, Debug)]
pub(super) enum Link {
    Linked(Identity),
    NotLinked,
    /// The keys cannot be read.
    Unknown(Reason),
}

#[derive(Clone, Debug)]
pub(super) enum ConnectionState {
    /// It has not begun; whether because others link first.
    Queued {
        waiting_to_link: bool,
    },
    Connecting(Instant),
    Up,
    Reconnecting(Instant, String),
    Down,
}

/// When to open the next connection after one that ended by itself.
#[derive(Default)]
pub(super) struct Retry {
    pub(super) failures: u32,
    pub(super) at: Option<Instant>,
    pub(super) reason: Option<Reason>,
}

/// An unlink under way.
pub(super) struct PendingUnlink {
    pub(super) waiting: Vec<(Instant, Reply<LoggedOut>)>,
    pub(super) sent: bool,
    pub(super) retry_at: Option<Instant>,
}

impl ConnectionHandle {
    /// Logged in, as far as anybody needs to know.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, ConnectionState::Up | ConnectionState::Reconnecting(..))
    }
}
