//! Commands of the router to nodes.

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

/// Sends commands to gateway nodes. Every command can be repeated, carries an epoch if it changes
/// state, and ends within a deadline of the adapter.
#[async_trait]
pub trait SessionControl: Send + Sync {
    /// Sends the declaration of a session.
    ///
    /// # Errors
    /// [`GatewayError::Stale`] if the node knows a newer epoch, [`GatewayError::Full`] if the node
    /// has no room.
    async fn declare(
        &self,
        node: &Node,
        session: &SessionId,
        declaration: &Declaration,
    ) -> Result<Snapshot, GatewayError>;

    /// Unlinks the device on WhatsApp; the node connects first if necessary. The keys stay until
    /// the outcome is confirmed. The node closes a connection that could link a device, and the
    /// keys after the close decide. `linked` tells whether the router knows of a linked device: a
    /// node without keys then returns [`LogoutOutcome::Unconfirmed`].
    ///
    /// # Errors
    /// [`GatewayError::Stale`] if the node knows a newer epoch.
    async fn logout(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        linked: bool,
        deadline: Duration,
    ) -> Result<(LogoutOutcome, Snapshot), GatewayError>;

    /// Closes the session and wipes its keys. Succeeds also without a session.
    ///
    /// # Errors
    /// [`GatewayError::Linked`] if the keys hold a link and `linked` is false. With `linked`, the
    /// node wipes the keys in any case.
    async fn forget(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        linked: bool,
    ) -> Result<(), GatewayError>;

    /// Returns the linked device. Ends within a second.
    ///
    /// # Errors
    /// [`GatewayError::Unknown`] if the node does not have the session.
    async fn identity(
        &self,
        node: &Node,
        session: &SessionId,
    ) -> Result<LiveIdentity, GatewayError>;
}

/// Error of a node.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// There is no connection to the node. The command did not take effect.
    #[error("gateway unreachable")]
    Unreachable(#[source] BoxError),
    /// The node does not answer, or cannot run the command now. Whether the command took effect is
    /// unknown.
    #[error("gateway unavailable")]
    Unavailable(#[source] BoxError),
    /// The node knows a newer epoch.
    #[error("the gateway knows a newer epoch")]
    Stale,
    /// The node has no room.
    #[error("the gateway is full")]
    Full,
    /// The node does not have the session.
    #[error("the gateway does not know the session")]
    Unknown,
    /// A device is linked. It must be unlinked before the keys are wiped.
    #[error("a device is linked")]
    Linked,
    /// The node returned an invalid answer.
    #[error("the gateway sent an invalid answer")]
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
