//! A page of the event feed as JSON, for callers that cannot hold a stream.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{Error, FeedFilter, FeedPosition, FeedRights, ports::OrganizationFeed};
use event_feed::{EventFeed, FeedError};
use tokio::time::timeout;

use super::bookmark::Bookmarks;
use crate::{
    response::problem::{Problem, Result},
    wire::render_event,
};

/// Maximum number of events that one read of the store examines.
const MAX_EXAMINED: u32 = 500;
/// Maximum number of reads for one page. The page of a filter that rarely matches may be empty; its
/// cursor continues after the examined events.
const MAX_READS: u32 = 20;

/// The events of a page, rendered, and the position after them.
pub(crate) struct EventPage {
    texts: Vec<Bytes>,
    until: FeedPosition,
}

/// Reads pages of the feed.
pub(crate) struct PageReader<'a> {
    pub(crate) feed: &'a EventFeed,
    pub(crate) store: &'a Arc<dyn OrganizationFeed>,
    pub(crate) rights: FeedRights,
    pub(crate) filter: FeedFilter,
    /// Maximum number of events on the page.
    pub(crate) limit: usize,
}

impl PageReader<'_> {
    /// Returns the events after a position. Without an event, waits up to `wait` for the next one.
    ///
    /// # Errors
    /// [`Error::Gone`] when retention removed events after the position; errors of the store.
    pub(crate) async fn read(&self, after: FeedPosition, wait: Duration) -> Result<EventPage> {
        let page = self.read_store(after).await?;
        if !page.texts.is_empty() || wait.is_zero() {
            return Ok(page);
        }
        let mut reader = self.feed.subscribe(self.rights.clone(), self.filter.clone(), page.until);
        match timeout(wait, reader.next()).await {
            Ok(Ok(events)) => {
                let kept = &events[..events.len().min(self.limit)];
                let until = match kept.last() {
                    Some(last) if kept.len() < events.len() => last.position,
                    _ => reader.position(),
                };
                Ok(EventPage {
                    texts: kept.iter().map(|event| event.text.clone()).collect(),
                    until,
                })
            }
            Ok(Err(FeedError::Gone)) => self.gone().await,
            Ok(Err(FeedError::Store(error))) => Err(Error::from(error).into()),
            Err(_) => Ok(EventPage { texts: Vec::new(), until: reader.bookmark() }),
        }
    }

    async fn read_store(&self, after: FeedPosition) -> Result<EventPage> {
        let horizon = self.feed.horizon().await.map_err(Error::from)?;
        let mut page = EventPage { texts: Vec::new(), until: after };
        for _ in 0..MAX_READS {
            if page.until >= horizon {
                break;
            }
            let read = self.store.feed_page(&self.rights, page.until, horizon, MAX_EXAMINED).await;
            let Some(read) = read.map_err(Error::from)? else { return self.gone().await };
            for found in read.events {
                let event = &found.event;
                if self.filter.matches(event.name(), event.session.as_ref()) {
                    page.texts.push(render_event(event));
                }
                page.until = found.position;
                if page.texts.len() == self.limit {
                    return Ok(page);
                }
            }
            page.until = read.until;
        }
        Ok(page)
    }

    async fn gone<T>(&self) -> Result<T> {
        let floor = self.feed.floor(&self.rights).await.map_err(Error::from)?;
        Err(Error::Gone { oldest: floor.oldest }.into())
    }
}

impl EventPage {
    /// Returns the page as JSON. Events are texts already.
    ///
    /// # Errors
    /// The random source failed.
    pub(crate) fn json(&self, bookmarks: &Bookmarks, rights: &FeedRights) -> Result<Vec<u8>> {
        let cursor = bookmarks.seal(rights.scope().organization(), self.until);
        let cursor = cursor.map_err(Problem::internal)?;
        let mut json = b"{\"data\":[".to_vec();
        for (index, text) in self.texts.iter().enumerate() {
            json.extend_from_slice(if index > 0 { b"," } else { b"" });
            json.extend_from_slice(text);
        }
        json.extend_from_slice(format!("],\"nextCursor\":\"{cursor}\"}}").as_bytes());
        Ok(json)
    }
}
