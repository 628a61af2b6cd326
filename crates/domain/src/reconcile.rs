//! The reconciler's decision: a pure function from spec, observed state and time to the next step.
//!
//! The function has no other input. After a crash, a retry or a lost connection, the next
//! evaluation gives the same step.
//!
//! Decision: ADR 0004.

use std::time::Duration;

use crate::{
    deadlines::Deadlines,
    gateway::node::Node,
    session::{
        model::Session,
        spec::Desired,
        status::{ReasonCode, Status},
    },
    time::Timestamp,
};

/// State of the node that a session is assigned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeLiveness {
    /// The session has no node.
    Unassigned,
    /// The lease of the node is valid.
    Live,
    /// The node is marked as lost and has closed its connections. The node must register again
    /// before its reports count, and the registration wakes every session of the node.
    Lost,
    /// The lease is over, but the node may still hold connections or renew the lease.
    Uncertain,
}

impl NodeLiveness {
    /// Returns the state of `node` at `now`. `None` is an unknown node, which is lost.
    pub fn of(node: Option<&Node>, now: Timestamp, deadlines: &Deadlines) -> Self {
        match node {
            Some(node) if node.is_live(now, deadlines.lease) => Self::Live,
            Some(node) if node.lost_at.is_none() => Self::Uncertain,
            Some(_) | None => Self::Lost,
        }
    }
}

/// The next step for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Assign a node.
    AssignNode,
    /// Send the declaration to the node.
    Declare,
    /// Ask the node to unlink the device.
    Unlink,
    /// The deadline of the unlink is over: ask the node to wipe the keys.
    GiveUpUnlink,
    /// No device can be linked and no node holds the session: the unlink is complete.
    NothingToUnlink,
    /// The node is lost: mark the session's connection as lost.
    MarkNodeLost,
    /// The deadline of a transitional status is over.
    Expire,
    /// The time of the next connection attempt has come.
    Retry,
    /// No step until the given time or the next change. `None` waits for a change.
    Rest(Option<Timestamp>),
}

/// Time until the next check of a session whose node is uncertain.
const RECHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Returns the next step for a session.
pub fn plan(session: &Session, liveness: NodeLiveness, now: Timestamp) -> Step {
    if let Some(unlink) = &session.spec.unlink {
        return match liveness {
            NodeLiveness::Unassigned => Step::NothingToUnlink,
            NodeLiveness::Live if now >= unlink.deadline => Step::GiveUpUnlink,
            NodeLiveness::Live => Step::Unlink,
            NodeLiveness::Lost if session.observed.status != Status::Stopped => Step::MarkNodeLost,
            NodeLiveness::Lost => Step::Rest(None),
            NodeLiveness::Uncertain => Step::Rest(Some(now.plus(RECHECK_INTERVAL))),
        };
    }
    if session.observed.deadline.is_some_and(|deadline| deadline <= now) {
        return Step::Expire;
    }
    let running = session.spec.desired == Desired::Running;
    match liveness {
        NodeLiveness::Unassigned if running && session.spec.pairing.is_some() => Step::AssignNode,
        NodeLiveness::Unassigned => Step::Rest(session.rest_until()),
        NodeLiveness::Uncertain => Step::Rest(Some(now.plus(RECHECK_INTERVAL))),
        NodeLiveness::Lost if is_lost(session) => Step::Rest(None),
        NodeLiveness::Lost => Step::MarkNodeLost,
        NodeLiveness::Live if running && is_retry_due(session, now) => Step::Retry,
        NodeLiveness::Live if !running && is_settled(session) => Step::Rest(None),
        NodeLiveness::Live => Step::Declare,
    }
}

/// The node has confirmed the newest epoch with a closed connection.
fn is_settled(session: &Session) -> bool {
    session.observed.epoch == session.spec.epoch && session.observed.status == Status::Stopped
}

fn is_lost(session: &Session) -> bool {
    let lost = |code| code == ReasonCode::GatewayLost;
    match session.spec.desired {
        Desired::Running => {
            session.observed.reason.as_ref().is_some_and(|reason| lost(reason.code))
        }
        Desired::Stopped => session.observed.status == Status::Stopped,
    }
}

fn is_retry_due(session: &Session, now: Timestamp) -> bool {
    session.observed.status == Status::Failed
        && session.observed.epoch == session.spec.epoch
        && session.observed.reason.as_ref().and_then(|r| r.retry_at).is_some_and(|at| at <= now)
}
