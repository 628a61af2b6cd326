//! The reader of one stream: events as they come, bookmarks at a fixed interval, and the end.

use std::{
    mem,
    ops::Range,
    sync::{Arc, LazyLock},
    time::Duration,
};

use domain::{OrganizationId, ports::PortError};
use event_feed::{FeedError, FeedReader, RenderedEvent};
use tokio::time::{Instant, sleep, sleep_until};

use super::{bookmark::Bookmarks, close_cause::CloseCause, open_streams::OpenStream};

/// Time between two bookmarks, whether there are events or not: hidden events must not change the
/// rhythm of a stream. Shorter than the listener's time for peers that do not read.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(15);
/// Milliseconds between the first two bookmarks, drawn for each stream: otherwise the bookmarks of many
/// streams that open together, as after a restart, stay together.
pub(crate) const FIRST_WAIT_MILLIS: Range<u32> = 1_000..15_000;
/// Bookmarks come at multiples of this time since [`EPOCH`], those of many streams together: to wake an
/// idle program costs more than a bookmark does.
const BOOKMARK_TICK: Duration = Duration::from_millis(100);
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
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
    schedule: BookmarkSchedule,
}

/// The times of bookmarks.
struct BookmarkSchedule {
    next: Instant,
    /// Time from the next bookmark to the one after it.
    wait: Duration,
}

impl BookmarkSchedule {
    fn new(now: Instant, first_wait: Duration) -> Self {
        Self { next: now, wait: first_wait }
    }

    /// Waits until the next bookmark is due; not at all if it is due. A timer of a time that has come fires up
    /// to a millisecond later, and events that are there would precede the first bookmark.
    async fn due(&self) {
        if self.next > Instant::now() {
            sleep_until(self.next).await;
        }
    }

    /// Schedules the next bookmark.
    fn advance(&mut self, now: Instant) {
        self.next = tick_before(now + mem::replace(&mut self.wait, BOOKMARK_INTERVAL));
    }
}

impl Follower {
    /// Creates the follower of an open stream. The first step is a bookmark, so that a client that
    /// is cut off before the first event resumes without a gap. The second bookmark comes after
    /// `first_wait`, which is drawn from [`FIRST_WAIT_MILLIS`].
    pub(crate) fn new(
        reader: FeedReader,
        bookmarks: Bookmarks,
        organization: OrganizationId,
        stream: OpenStream,
        first_wait: Duration,
    ) -> Self {
        let schedule = BookmarkSchedule::new(Instant::now(), first_wait);
        Self { reader, bookmarks, organization, stream, schedule }
    }

    /// Waits for the next part. Cancel safe.
    pub(crate) async fn next(&mut self) -> Step {
        loop {
            tokio::select! {
                biased;
                cause = self.stream.ended() => return Step::End(cause),
                () = self.schedule.due() => {
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
        self.schedule.advance(Instant::now());
        self.bookmarks.seal(&self.organization, self.reader.bookmark()).ok()
    }

    /// Waits before the next read, and not longer than until the next bookmark or the end.
    async fn pause(&self) {
        tokio::select! {
            () = sleep(RETRY_INTERVAL) => {}
            () = self.schedule.due() => {}
            _ = self.stream.ended() => {}
        }
    }
}

/// Returns the last tick that is not after this time.
fn tick_before(time: Instant) -> Instant {
    let since = time.saturating_duration_since(*EPOCH).as_millis();
    let past = since % BOOKMARK_TICK.as_millis();
    *EPOCH + Duration::from_millis(u64::try_from(since - past).unwrap_or(u64::MAX))
}

fn report(error: &PortError) {
    let error: &(dyn std::error::Error + 'static) = error;
    tracing::debug!(error, "a stream cannot read the event feed; will retry");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bookmarks_come_at_once_then_after_the_first_wait_and_then_once_an_interval() {
        let start = Instant::now();
        let first_wait = Duration::from_secs(4);
        let mut schedule = BookmarkSchedule::new(start, first_wait);
        let mut times = vec![schedule.next];
        for _ in 0..3 {
            schedule.advance(schedule.next);
            times.push(schedule.next);
        }
        let second = tick_before(start + first_wait);
        assert!(start + first_wait - second < BOOKMARK_TICK);
        assert_eq!((second - *EPOCH).as_millis() % BOOKMARK_TICK.as_millis(), 0);
        let third = second + BOOKMARK_INTERVAL;
        assert_eq!(times, [start, second, third, third + BOOKMARK_INTERVAL]);
    }
}
