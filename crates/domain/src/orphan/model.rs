//! An orphan: device keys on a node without a session or a cleanup in the database.

use crate::{
    id::{GatewayId, SessionId},
    time::Timestamp,
};

/// Device keys on a node for which the database has no session and no cleanup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Id of the session on the node.
    pub session: SessionId,
    /// The node.
    pub gateway: GatewayId,
    /// The newest epoch that the node knows.
    pub epoch: u64,
    /// Time at which the node first reported the session.
    pub since: Timestamp,
}
