//! The part of a session that its delete needs.

use crate::{
    id::{GatewayId, SessionId},
    session::{model::Session, version::StoredVersion},
};

/// The part of a session that its delete needs, also of a row that cannot be read completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialSession {
    /// Id of the session.
    pub id: SessionId,
    /// The assigned node. `None` without a node or with an unreadable node name.
    pub gateway: Option<GatewayId>,
    /// Whether the session is assigned to a node whose name cannot be read.
    pub is_on_unknown_node: bool,
    /// Epoch of the session. `None` if unreadable.
    pub epoch: Option<u64>,
    /// Whether the router knew of a linked device.
    pub linked: bool,
    /// Highest sequence number of the session's events.
    pub sequence: u64,
    /// Version as stored, valid or not. Guards the delete.
    pub stored_version: i64,
}

impl From<&Session> for PartialSession {
    fn from(session: &Session) -> Self {
        Self {
            id: session.id.clone(),
            gateway: session.gateway.clone(),
            is_on_unknown_node: false,
            epoch: Some(session.spec.epoch),
            linked: session.is_paired(),
            sequence: session.sequence,
            stored_version: StoredVersion::from(session.version).0,
        }
    }
}
