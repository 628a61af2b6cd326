//! Positions of events in the feed.
//!
//! Decision: ADR 0037.

use crate::{event::Event, id::EventId};

/// Position of an event in the order over all organizations. Callers never see a position, because
/// the differences count the events of other organizations; they see event ids and sealed
/// bookmarks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedPosition(u64);

impl FeedPosition {
    /// The position before every event.
    pub const START: Self = Self(0);

    /// Creates a position from its number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number, as stored.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// How far the feed can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedHorizon {
    /// Every event up to this position is committed or will never exist. A reader that reads no
    /// further misses no event.
    pub safe: FeedPosition,
    /// The newest position that a transaction has drawn. Greater than `safe` while an older
    /// transaction is open.
    pub newest: FeedPosition,
}

/// An event with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEvent {
    /// Position of the event.
    pub position: FeedPosition,
    /// The event.
    pub event: Event,
}

/// A part of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPage {
    /// The events that the reader may see, in the order of their positions.
    pub events: Vec<FeedEvent>,
    /// The position up to which the feed was read. The next page begins there.
    pub until: FeedPosition,
}

/// The start of an organization's feed, after retention removed older events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedFloor {
    /// The position up to which events were removed.
    pub position: FeedPosition,
    /// The oldest event that remains and that the reader may see.
    pub oldest: Option<EventId>,
}
