//! The values from which an actor decides.

use std::{sync::Weak, time::Duration};

use gateway_protocol::{Identity, LoggedOut, PairingSpec, Reason};
use tokio::time::Instant;
use whatsapp_rust::Client;

use super::command::Reply;
use crate::connection::Connection;

/// Interval of the connection check. On a silent network, the engine notices the loss within about
/// 40 s and does not report it.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The state that a session has to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Closed,
    Connected,
    Pairing(PairingSpec),
}

/// Why a session stays closed although its spec says running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// WhatsApp closed the connection permanently; a restart or a new start tries again.
    Rejected,
    /// The engine or the actor panicked; a declaration tries again.
    Crashed,
    /// The lease ended; a declaration tries again.
    Suspended,
}

/// The open connection.
pub(super) struct ConnectionHandle {
    pub(super) inner: Connection,
    pub(super) client: Weak<Client>,
    pub(super) restarts: u64,
    pub(super) state: ConnectionState,
    /// The time of the next check whether the engine is connected; the engine does not report every
    /// loss.
    pub(super) next_check: Instant,
    /// Whether this connection has requested a pairing code.
    pub(super) code_requested: bool,
}

/// Whether the keys link a device.
#[derive(Clone, Debug)]
pub(super) enum Link {
    Linked(Identity),
    NotLinked,
    /// The keys cannot be read or are lost.
    Unknown(Reason),
}

#[derive(Clone, Debug)]
pub(super) enum ConnectionState {
    /// The connection has not started. `waiting_to_link`: other sessions hold all link permits.
    Queued {
        waiting_to_link: bool,
    },
    Connecting(Instant),
    Up,
    Reconnecting(Instant, String),
    Down,
}

/// The schedule after a connection that ended on its own.
#[derive(Default)]
pub(super) struct Retry {
    pub(super) failures: u32,
    pub(super) at: Option<Instant>,
    pub(super) reason: Option<Reason>,
}

/// An unlink without a final answer.
pub(super) struct PendingUnlink {
    pub(super) waiting: Vec<(Instant, Reply<LoggedOut>)>,
    pub(super) sent: bool,
    pub(super) retry_at: Option<Instant>,
}

impl ConnectionHandle {
    /// Returns whether the device is logged in. A drop that is not published yet counts as logged
    /// in.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, ConnectionState::Up | ConnectionState::Reconnecting(..))
    }

    /// Returns whether the device is logged in and the connection has not dropped since.
    pub(super) fn has_no_drop(&self) -> bool {
        matches!(self.state, ConnectionState::Up)
    }
}
