//! The nodes, as the router speaks to them.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    error::Error,
    gateway::node::Node,
    id::SessionId,
    ports::error::BoxError,
    session::{
        observed::{LiveIdentity, Snapshot},
        spec::Declaration,
        unlink::LogoutOutcome,
    },
};

/// Speaks to gateway nodes. Every call may be repeated, carries an epoch where it changes
/// something, and ends within a deadline of the adapter's own.
#[async_trait]
pub trait SessionControl: Send + Sync {
    /// Tells the node what is wanted of a session from now on.
    ///
    /// # Errors
    /// [`GatewayError::Stale`] when the node knows a newer epoch, [`GatewayError::Full`] when it has no room.
    async fn declare(
        &self,
        node: &Node,
        session: &SessionId,
        declaration: &Declaration,
    ) -> Result<Snapshot, GatewayError>;

    /// Has the node unlink the device on WhatsApp, connecting first if it must; the keys stay until
    /// the outcome is confirmed. A connection that could link a device is closed first, and what its
    /// keys say afterwards counts. `linked` is whether the router knows of a link: a node that has no
    /// keys then answers [`LogoutOutcome::Unconfirmed`].
    async fn logout(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        linked: bool,
        deadline: Duration,
    ) -> Result<(LogoutOutcome, Snapshot), GatewayError>;

    /// Has the node close the session and wipe its keys. Succeeds also when there was nothing.
    ///
    /// # Errors
    /// [`GatewayError::Linked`] when the keys hold a link and the router does not say `linked`, by
    /// which it has them wiped all the same.
    async fn forget(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        linked: bool,
    ) -> Result<(), GatewayError>;

    /// Asks the node who is attached. Answers within a second or fails.
    async fn identity(
        &self,
        node: &Node,
        session: &SessionId,
    ) -> Result<LiveIdentity, GatewayError>;
}

/// How a node fails.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// It cannot be reached, or cannot do it now. The command may or may not have been carried out.
    #[error("gateway unavailable")]
    Unavailable(#[source] BoxError),
    /// It was told something newer.
    #[error("the gateway knows a newer epoch")]
    Stale,
    /// It has no room.
    #[error("the gateway is full")]
    Full,
    /// It does not know the session.
    #[error("the gateway does not know the session")]
    Unknown,
    /// A device is linked after all, and must be unlinked before its keys are wiped.
    #[error("a device is linked")]
    Linked,
    /// It answered something that cannot be.
    #[error("the gateway answered nonsense")]
    Broken(#[source] BoxError),
}

impl From<GatewayError> for Error {
    fn from(error: GatewayError) -> Self {
        match error {
            GatewayError::Broken(source) => Self::Internal(source),
            other => Self::unavailable(other),
        }
    }
}
