//! A feed over a memory store whose horizon the tests move, and writers of events.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    Caller, Capability, Event, EventId, FeedFilter, FeedFloor, FeedHorizon, FeedPage, FeedPosition,
    FeedRights, OrganizationId, Scope, Session, SessionId, Settings,
    ports::{Feed, OrganizationFeed, PortResult, Written},
    testing::{Memory, TestEnvironment, commit_parts, insert_session},
};
use event_feed::{EventFeed, FeedPorts, FeedReader, RenderedEvent};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::subscriber::DefaultGuard;

/// Interval of the tail's reads.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

/// The memory store with a horizon that tests move, and a count of page reads.
#[derive(Default)]
pub(crate) struct TestStore {
    pub(crate) memory: Memory,
    horizon: Mutex<Option<FeedHorizon>>,
    pages: AtomicUsize,
}

impl TestStore {
    /// Replaces the horizon; `None` restores that of the store.
    pub(crate) fn set_horizon(&self, numbers: Option<(u64, u64)>) {
        let horizon = numbers.map(|(safe, newest)| FeedHorizon {
            safe: FeedPosition::from_number(safe),
            newest: FeedPosition::from_number(newest),
        });
        *self.horizon.lock().unwrap() = horizon;
    }

    /// Returns the number of pages that readers read.
    pub(crate) fn pages(&self) -> usize {
        self.pages.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Feed for TestStore {
    async fn horizon(&self) -> PortResult<FeedHorizon> {
        let set = *self.horizon.lock().unwrap();
        match set {
            Some(horizon) => Ok(horizon),
            None => self.memory.horizon().await,
        }
    }

    async fn page_of_all(
        &self,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<FeedPage> {
        self.memory.page_of_all(after, until, limit).await
    }
}

#[async_trait]
impl OrganizationFeed for TestStore {
    async fn feed_page(
        &self,
        rights: &FeedRights,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<Option<FeedPage>> {
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.memory.feed_page(rights, after, until, limit).await
    }

    async fn position_of(
        &self,
        rights: &FeedRights,
        event: &EventId,
    ) -> PortResult<Option<FeedPosition>> {
        self.memory.position_of(rights, event).await
    }

    async fn floor(&self, rights: &FeedRights) -> PortResult<FeedFloor> {
        self.memory.floor(rights).await
    }
}

/// A running feed.
pub(crate) struct World {
    pub(crate) store: Arc<TestStore>,
    pub(crate) environment: Arc<TestEnvironment>,
    pub(crate) feed: EventFeed,
    _stop: DropGuard,
}

impl World {
    pub(crate) fn new() -> Self {
        let store = Arc::new(TestStore::default());
        let feed = EventFeed::new(FeedPorts {
            all: store.clone(),
            organizations: store.clone(),
            render: Arc::new(|event| event.id.to_string().into()),
            interval: INTERVAL,
        });
        let stop = CancellationToken::new();
        tokio::spawn(feed.clone().run(stop.clone()));
        let environment = TestEnvironment::new();
        Self { store, environment, feed, _stop: stop.drop_guard() }
    }

    /// Creates a session of an organization, which writes one event. Returns the session and its
    /// event.
    pub(crate) async fn write(&self, organization: &str) -> (SessionId, Event) {
        let scope = scope(organization);
        let session = Session::new(
            scope.organization().clone(),
            None,
            Settings::default(),
            &*self.environment,
        );
        let (session, _, events) =
            commit_parts(session.created(), scope.actor(), &*self.environment);
        let written = insert_session(&self.store.memory, &scope, &session, &events, None).await;
        assert_eq!(written.expect("the store answers"), Ok(Written::Done));
        (session.id, events[0].clone())
    }

    /// Writes events of an organization; returns their ids.
    pub(crate) async fn write_many(&self, organization: &str, count: usize) -> Vec<EventId> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.write(organization).await.1.id);
        }
        ids
    }

    /// Subscribes a manager of an organization to every event after a position.
    pub(crate) fn reader(&self, organization: &str, after: FeedPosition) -> FeedReader {
        self.feed.subscribe(rights(organization), FeedFilter::default(), after)
    }

    /// Subscribes a manager of an organization to every event from now on.
    pub(crate) async fn live_reader(&self, organization: &str) -> FeedReader {
        self.reader(organization, self.feed.horizon().await.expect("the horizon"))
    }
}

fn scope(organization: &str) -> Scope {
    manager(organization).may(Capability::Manage).expect("may manage")
}

/// Returns a manager of an organization.
pub(crate) fn manager(organization: &str) -> Caller {
    Caller::operator(OrganizationId::parse(organization).expect("a name"))
}

/// Returns the rights of a manager of an organization.
pub(crate) fn rights(organization: &str) -> FeedRights {
    FeedRights::of(&manager(organization)).expect("may manage")
}

/// Reads `count` events; returns their ids.
pub(crate) async fn read(reader: &mut FeedReader, count: usize) -> Vec<EventId> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let next = timeout(Duration::from_secs(20), reader.next()).await.expect("events in time");
        let events = next.expect("the feed is readable");
        assert!((1..=500).contains(&events.len()));
        assert_eq!(
            reader.position(),
            events.last().expect("an event").position.max(reader.position())
        );
        ids.extend(events.iter().map(|event| id_in_text(event)));
    }
    ids
}

/// Asserts that no event arrives within several intervals.
pub(crate) async fn assert_silent(reader: &mut FeedReader) {
    let next = timeout(INTERVAL * 5, reader.next()).await;
    assert!(next.is_err(), "{:?}", next.map(|events| events.map(|it| it.len())));
}

fn id_in_text(event: &RenderedEvent) -> EventId {
    let text = std::str::from_utf8(&event.text).expect("UTF-8");
    assert_eq!(text, event.id.to_string(), "the renderer's text");
    event.id.clone()
}

/// The log lines of the current thread while the value exists.
pub(crate) struct LogLines {
    lines: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

impl LogLines {
    pub(crate) fn collect() -> Self {
        let lines = Arc::<Mutex<Vec<u8>>>::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || LineWriter(writer.clone()))
            .finish();
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// Returns the number of lines that contain a text.
    pub(crate) fn count(&self, text: &str) -> usize {
        let lines = self.lines.lock().unwrap();
        String::from_utf8_lossy(&lines).lines().filter(|line| line.contains(text)).count()
    }
}

struct LineWriter(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
