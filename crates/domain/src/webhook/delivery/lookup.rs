//! Look-ups of events that are not in memory.

use crate::{
    event::stream::EventStream,
    feed::position::FeedPosition,
    id::SessionId,
    webhook::delivery::retry_queue::{OrderingKey, Pass},
};

/// A look-up for a retry queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLookup {
    /// Pass of the queue.
    pub pass: Pass,
    /// Key of the queue.
    pub key: OrderingKey,
    /// The events.
    pub range: LookupRange,
    /// Last event that the scan passed over when the look-up began.
    pub(crate) until: FeedPosition,
    /// Maximum number of events.
    pub limit: u32,
}

/// Events of one organization, in the order of their positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupRange {
    /// The event at this position.
    Event(FeedPosition),
    /// The events of a session and a stream after this sequence number.
    Session {
        /// The session.
        session: SessionId,
        /// The stream.
        stream: EventStream,
        /// The sequence number.
        after: u64,
    },
    /// The events without a session.
    Organization {
        /// Only events after this position.
        after: FeedPosition,
        /// Only events up to this position.
        until: FeedPosition,
    },
}
