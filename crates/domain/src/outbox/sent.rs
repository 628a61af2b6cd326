//! The result of a request to send a message.

use std::time::Duration;

use crate::{message::service::ShownMessage, message::state::MessageStatus};

/// Whether a request waits for WhatsApp's acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendMode {
    /// The request waits, and is refused while the message cannot leave now.
    Sync,
    /// The request does not wait, and the message waits as long as necessary.
    Async,
}

impl SendMode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::Sync, Self::Async];

    /// Returns the stable name, as sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
        }
    }
}

/// Limits of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Maximum number of messages of a session that wait. 0 is no limit.
    pub queue: u32,
    /// Time that a request waits for WhatsApp's acknowledgement.
    pub wait: Duration,
    /// Time from the first hand-over after which a message without an acknowledgement is given up.
    pub acknowledgement: Duration,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self {
            queue: 10_000,
            wait: Duration::from_secs(10),
            acknowledgement: Duration::from_secs(600),
        }
    }
}

/// An accepted message, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// The message with its chat.
    pub shown: ShownMessage,
    /// Whether the request waited.
    pub mode: SendMode,
    /// Whether an earlier request with the same idempotency key was accepted.
    pub replayed: bool,
    /// Number of messages of the session that are sent before. `None` for a message that does not
    /// wait.
    pub queue_position: Option<u64>,
}

impl SentMessage {
    /// Returns true if the message waits for its sending or its acknowledgement.
    pub fn is_queued(&self) -> bool {
        self.shown.message.state.status() == MessageStatus::Queued
    }
}
