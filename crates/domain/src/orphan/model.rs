//! An orphan: device keys on a node without a session or a cleanup in the database.

use crate::{
    id::{GatewayId, SessionId},
    time::Timestamp,
};

/// A session that a node holds keys of and that the database does not account for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The session's name on the node.
    pub session: SessionId,
    /// The node.
    pub gateway: GatewayId,
    /// The newest epoch that the node had been told by then.
    pub epoch: u64,
    /// When the node first named the session without being told to keep it.
    pub since: Timestamp,
}
