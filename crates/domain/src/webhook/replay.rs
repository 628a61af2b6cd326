//! Replays: a second delivery of earlier events.

use crate::{feed::position::FeedPosition, id::EventId, time::Timestamp};

/// A replay as its owner asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplaySpec {
    /// Events from this time on.
    pub since: Option<Timestamp>,
    /// Events after this one.
    pub after: Option<String>,
    /// Events before this time. `None` for events up to now.
    pub until: Option<Timestamp>,
    /// Only events that are dead letters and were not replayed.
    pub dead_only: bool,
}

/// A replay in progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Time of the request; identifies the replay.
    pub started_at: Timestamp,
    /// Every event up to this position is done.
    pub position: FeedPosition,
    /// Last position of the replay.
    pub until: FeedPosition,
    /// Only events from this time on.
    pub from: Option<Timestamp>,
    /// Only events before this time.
    pub before: Option<Timestamp>,
    /// Only events that are dead letters and were not replayed.
    pub dead_only: bool,
}

impl Replay {
    /// Returns true if the event was created within the times of the replay.
    pub fn includes(&self, event: &EventId) -> bool {
        let at = event.created_at();
        self.from.is_none_or(|from| at >= from) && self.before.is_none_or(|before| at < before)
    }
}
