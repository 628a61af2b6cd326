//! What a session needs of its connection to WhatsApp; the engine implements it.

use std::time::Duration;

use async_trait::async_trait;
use gateway_protocol::{Answer, OutgoingMessage, Question};

/// The connection of one session.
#[async_trait]
pub(crate) trait SessionWire: Send + Sync {
    /// Returns the phone number of the linked account, digits only.
    fn account(&self) -> Option<String>;

    /// Writes a message under its id. A repetition is the same message to WhatsApp.
    async fn send(&self, message: &OutgoingMessage) -> Result<(), WireError>;

    /// Returns whether an earlier process may have written the message.
    async fn may_have_sent(&self, message: &OutgoingMessage) -> bool;

    /// Shows in the chat that the account types, for this time. Failures have no effect.
    async fn type_for(&self, to: &str, time: Duration);

    /// Answers a live request.
    async fn ask(&self, question: Question) -> Result<Answer, AskError>;
}

/// Why a message was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// The connection ended; whether WhatsApp received the message is unknown.
    #[error("the connection was lost")]
    Disconnected,
    /// The engine refuses the message, also a repetition.
    #[error("the engine refuses the message: {0}")]
    Invalid(String),
    /// The message was not written; a repetition may succeed.
    #[error("{0}")]
    NotWritten(String),
}

/// Why a live request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// A value of the request is invalid.
    #[error("{0}")]
    Invalid(String),
    /// WhatsApp did not answer.
    #[error("{0}")]
    Unavailable(String),
}
