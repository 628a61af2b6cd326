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
pub enum Place {
    /// It is placed on none.
    Nowhere,
    /// Its lease runs.
    Live,
    /// It was given up, and has closed its connections. Before it is heard again it enlists anew, which
    /// wakes everything that is placed on it.
    Lost,
    /// It is silent, but may still hold connections, or be heard again in a moment.
    Doubtful,
}

impl Place {
    /// What `node` is now.
    pub fn of(node: Option<&Node>, now: Timestamp, deadlines: &Deadlines) -> Self {
        match node {
            Some(node) if node.is_live(now, deadlines.lease) => Self::Live,
            Some(node) if node.lost_at.is_none() => Self::Doubtful,
            Some(_) | None => Self::Lost,
        }
    }
}

/// The next thing to do about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Choose a node for it.
    Place,
    /// Tell its node what is wanted.
    Declare,
    /// Have its node unlink the device.
    Unlink,
    /// The time for WhatsApp's word is up: have its node wipe the keys.
    GiveUpUnlink,
    /// There is nothing to unlink, and no node to ask.
    NothingToUnlink,
    /// Its node is gone, and its connection with it.
    Lose,
    /// The time for a transitional status is up.
    Expire,
    /// The moment to try again has come.
    Retry,
    /// Nothing, until then or until something happens.
    Rest(Option<Timestamp>),
}

/// When to look again at a session whose node may be gone.
const DOUBT: Duration = Duration::from_secs(5);

/// What to do next.
pub fn plan(session: &Session, place: Place, now: Timestamp) -> Step {
    if let Some(unlink) = &session.wanted.unlink {
        return match place {
            Place::Nowhere => Step::NothingToUnlink,
            Place::Live if now >= unlink.deadline => Step::GiveUpUnlink,
            Place::Live => Step::Unlink,
            Place::Lost if session.seen.status != Status::Stopped => Step::Lose,
            Place::Lost => Step::Rest(None),
            Place::Doubtful => Step::Rest(Some(now.plus(DOUBT))),
        };
    }
    if session.seen.deadline.is_some_and(|deadline| deadline <= now) {
        return Step::Expire;
    }
    let running = session.wanted.desired == Desired::Running;
    match place {
        Place::Nowhere if running && session.wanted.pairing.is_some() => Step::Place,
        Place::Nowhere => Step::Rest(session.rest_until()),
        Place::Doubtful => Step::Rest(Some(now.plus(DOUBT))),
        Place::Lost if is_lost(session) => Step::Rest(None),
        Place::Lost => Step::Lose,
        Place::Live if running && retry_has_come(session, now) => Step::Retry,
        Place::Live if !running && is_settled(session) => Step::Rest(None),
        Place::Live => Step::Declare,
    }
}

/// Its node has heard the last word and has nothing to do.
fn is_settled(session: &Session) -> bool {
    session.seen.epoch == session.wanted.epoch && session.seen.status == Status::Stopped
}

fn is_lost(session: &Session) -> bool {
    let lost = |code| code == ReasonCode::GatewayLost;
    match session.wanted.desired {
        Desired::Running => session.seen.reason.as_ref().is_some_and(|reason| lost(reason.code)),
        Desired::Stopped => session.seen.status == Status::Stopped,
    }
}

fn retry_has_come(session: &Session, now: Timestamp) -> bool {
    session.seen.status == Status::Failed
        && session.seen.epoch == session.wanted.epoch
        && session.seen.reason.as_ref().and_then(|r| r.retry_at).is_some_and(|at| at <= now)
}
