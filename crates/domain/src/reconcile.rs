//! What to do next about a session: a pure function of what is wanted, what was seen, and the time.
//!
//! It takes no other input, so a crash, a retry and a dropped connection are the same non-event:
//! whoever looks next comes to the same conclusion.
//!
//! Decision: ADR 0004.

use std::time::Duration;

use crate::{Deadlines, Desired, Node, ReasonCode, Session, Status, Timestamp};

/// What is known of the node a session is placed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeLiveness {
    /// It is placed on none.
    Unassigned,
    /// Its lease runs.
    Live,
    /// It was given up, and has closed its connections. Before it is heard again it enlists anew, which
    /// wakes everything that is placed on it.
    Lost,
    /// It is silent, but may still hold connections, or be heard again in a moment.
    Uncertain,
}

impl NodeLiveness {
    /// What `node` is now.
    pub fn of(node: Option<&Node>, now: Timestamp, deadlines: &Deadlines) -> Self {
        match node {
            Some(node) if node.is_live(now, deadlines.lease) => Self::Live,
            Some(node) if node.lost_at.is_none() => Self::Uncertain,
            Some(_) | None => Self::Lost,
        }
    }
}

/// The next thing to do about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Choose a node for it.
    AssignNode,
    /// Tell its node what is wanted.
    Declare,
    /// Have its node unlink the device.
    Unlink,
    /// The time for WhatsApp's word is up: have its node wipe the keys.
    GiveUpUnlink,
    /// There is nothing to unlink, and no node to ask.
    NothingToUnlink,
    /// Its node is gone, and its connection with it.
    MarkNodeLost,
    /// The time for a transitional status is up.
    Expire,
    /// The moment to try again has come.
    Retry,
    /// Nothing, until then or until something happens.
    Rest(Option<Timestamp>),
}

/// When to look again at a session whose node may be gone.
const RECHECK_INTERVAL: Duration = Duration::from_secs(5);

/// What to do next.
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

/// Its node has heard the last word and has nothing to do.
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
