//! The reader of one stream: events as they come, bookmarks at a fixed interval, and the end.

use std::{sync::Arc, time::Duration};

use domain::{OrganizationId, ports::PortError};
use event_feed::{FeedError, FeedReader, RenderedEvent};
use tokio::time::{Instant, sleep, sleep_until};

use super::{bookmark::Bookmarks, close_cause::CloseCause, open_streams::OpenStream};

/// Time between two bookmarks, whether there are events or not: hidden events must not change the
/// rhythm of a stream. Shorter than the listener's time for peers that do not read.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(15);
/// Time between two reads of the feed while the store does not answer.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The next part of a stream.
pub(crate) enum Step {
    /// Events, in the order of their positions.
    Events(Vec<Arc<RenderedEvent>>),
    /// A bookmark after all events so far.
    Bookmark(String),
    /// The stream has ended.
    End(CloseCause),
}

/// Reads the feed for one stream.
pub(crate) struct Follower {
    reader: FeedReader,
    bookmarks: Bookmarks,
    organization: OrganizationId,
    stream: OpenStream,
    next_bookmark: Instant,
}

impl Follower {
    /// Creates the follower of an open stream. The first step is a bookmark, so that a client that
    /// is cut off before the first event resumes without a gap.
    pub(crate) fn new(
        reader: FeedReader,
        bookmarks: Bookmarks,
        organization: OrganizationId,
        stream: OpenStream,
    ) -> Self {
        Self { reader, bookmarks, organization, stream, next_bookmark: Instant::now() }
    }

    /// Waits for the next part. Cancel safe.
    pub(crate) async fn next(&mut self) -> Step {
        loop {
            tokio::select! {
                biased;
                cause = self.stream.ended() => return Step::End(cause),
                () = sleep_until(self.next_bookmark) => {
                    if let Some(bookmark) = self.bookmark() {
                        return Step::Bookmark(bookmark);
                    }
                }
                events = self.reader.next() => match events {
                    Ok(events) => return Step::Events(events),
                    Err(FeedError::Gone) => self.stream.close(CloseCause::Gone),
                    Err(FeedError::Store(error)) => {
                        report(&error);
                        self.pause().await;
                    }
                },
            }
        }
    }

    /// Waits until the stream must end.
    pub(crate) async fn ended(&self) -> CloseCause {
        self.stream.ended().await
    }

    /// Records why the stream ends. The first cause stands.
    pub(crate) fn close(&self, cause: CloseCause) {
        self.stream.close(cause);
    }

    /// Returns the bookmark of the present position, and schedules the next one.
    fn bookmark(&mut self) -> Option<String> {
        self.next_bookmark = Instant::now() + BOOKMARK_INTERVAL;
        self.bookmarks.seal(&self.organization, self.reader.bookmark()).ok()
    }

    /// Waits before the next read, and not longer than until the next bookmark or the end.
    async fn pause(&self) {
        tokio::select! {
            () = sleep(RETRY_INTERVAL) => {}
            () = sleep_until(self.next_bookmark) => {}
            _ = self.stream.ended() => {}
        }
    }
}

fn report(error: &PortError) {
    let error: &(dyn std::error::Error + 'static) = error;
    tracing::debug!(error, "a stream cannot read the event feed; will retry");
}
