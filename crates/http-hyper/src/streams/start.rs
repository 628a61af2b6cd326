//! The place in the event feed where a stream begins.

use domain::{Error, EventId, FeedPosition, FeedRights};
use event_feed::EventFeed;

use crate::response::problem::Result;

/// The place where a reader asks to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamStart {
    /// After every event that is committed now.
    Now,
    /// Before the oldest event that remains.
    Oldest,
    /// After an event.
    Event(EventId),
    /// After a position that a bookmark of the organization names.
    Position(FeedPosition),
    /// A well-formed bookmark that was not issued for the organization.
    Unknown,
}

impl StreamStart {
    /// Returns the position after which the stream begins.
    ///
    /// # Errors
    /// [`Error::Gone`], the same for an event or a position that retention removed, that is of
    /// another organization, that is hidden from the reader, or that never existed; 503 and 500 of
    /// the store.
    pub(crate) async fn resolve(
        &self,
        feed: &EventFeed,
        rights: &FeedRights,
    ) -> Result<FeedPosition> {
        let found = match self {
            Self::Now => return Ok(feed.horizon().await.map_err(Error::from)?),
            Self::Event(event) => feed.position_of(rights, event).await.map_err(Error::from)?,
            Self::Position(position) => Some(*position),
            Self::Oldest | Self::Unknown => None,
        };
        if let (Self::Event(_), Some(position)) = (self, found) {
            return Ok(position);
        }
        let floor = feed.floor(rights).await.map_err(Error::from)?;
        match (self, found) {
            (Self::Oldest, _) => Ok(floor.position),
            (_, Some(position)) if position >= floor.position => Ok(position),
            _ => Err(Error::Gone { oldest: floor.oldest }.into()),
        }
    }
}
