//! Tests: positions follow the sequence numbers of each session in every kind of commit, and readers
//! of the feed miss no event of a slow transaction.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use domain::{
    Event, EventId, EventPayload, FeedEvent, FeedPosition, LinkAttempt, RateQuota, Session,
    SessionId, Settings,
    ports::{CommitOutcome, Environment as _, Feed, PortResult, SystemWrite},
    testing::{
        TestEnvironment, cleanup_of, contract, delete_session, insert_session, link_session,
        update_by_system, update_session, write_by_system,
    },
};
use futures_util::future::join_all;
use store_diesel::Database;
use tokio::time::{sleep, timeout};

use crate::{
    both_databases::{done, on_both},
    outage::scope,
    test_database::TestDatabase,
};

/// Number of concurrent commits, which share batches on PostgreSQL.
const CONCURRENT: usize = 40;
/// Number of events of each commit.
const EVENTS: u64 = 4;

fn session(environment: &TestEnvironment) -> Session {
    Session::new(scope().organization().clone(), None, Settings::default(), environment)
}

/// Returns events of a session whose ids are in the reverse order of their sequence numbers, so that
/// no order of ids can take the place of the order of sequence numbers.
fn events(id: &SessionId, sequences: Range<u64>, environment: &TestEnvironment) -> Vec<Event> {
    let mut ids: Vec<_> =
        sequences.clone().map(|_| EventId::from_bits(environment.ulid())).collect();
    ids.reverse();
    let event = |(sequence, event_id)| {
        let scope = scope();
        let payload = EventPayload::SessionDeleted {};
        let event =
            Event::of_organization(payload, scope.organization(), scope.actor(), environment);
        Event { id: event_id, session: Some(id.clone()), sequence, ..event }
    };
    sequences.zip(ids).map(event).collect()
}

/// Reads the whole feed.
async fn feed(store: &Database) -> Vec<FeedEvent> {
    let until = store.horizon().await.expect("the horizon").safe;
    let (mut position, mut all) = (FeedPosition::START, Vec::new());
    while position < until {
        let page = store.page_of_all(position, until, 100).await.expect("a page");
        all.extend(page.events);
        position = page.until;
    }
    all
}

/// Asserts that the feed has events 1 to `newest` of each session, each once and in this order.
async fn assert_in_sequence(store: &Database, sessions: &[Session], newest: u64, path: &str) {
    let mut sequences = BTreeMap::<_, Vec<u64>>::new();
    for found in feed(store).await {
        sequences.entry(found.event.session).or_default().push(found.event.sequence);
    }
    for session in sessions {
        let found = sequences.remove(&Some(session.id.clone())).unwrap_or_default();
        assert_eq!(found, (1..=newest).collect::<Vec<_>>(), "{path}: {}", session.id);
    }
}

/// Commits for all sessions at once.
async fn commit_all<F>(sessions: &[Session], commit: impl Fn(Session) -> F)
where
    F: Future<Output = PortResult<CommitOutcome>>,
{
    join_all(sessions.iter().cloned().map(commit)).await.into_iter().for_each(done);
}

async fn positions_follow_sequence_numbers_in_every_commit(test_db: TestDatabase) {
    let environment = &*TestEnvironment::new();
    let store = &test_db.open().await;
    let scope = &scope();
    let sessions: Vec<_> = (0..CONCURRENT).map(|_| session(environment)).collect();
    let mut next = 1;
    let mut take = || {
        next += EVENTS;
        next - EVENTS..next
    };

    let inserted = take();
    commit_all(&sessions, async |session| {
        let events = events(&session.id, inserted.clone(), environment);
        insert_session(store, scope, &session, &events, None).await
    })
    .await;
    assert_in_sequence(store, &sessions, inserted.end - 1, "concurrent inserts").await;

    let updated = take();
    commit_all(&sessions, async |session| {
        let events = events(&session.id, updated.clone(), environment);
        update_session(store, scope, &session, session.expected_version(), &events, None).await
    })
    .await;
    assert_in_sequence(store, &sessions, updated.end - 1, "concurrent updates").await;

    let lone = take();
    for session in &sessions {
        let events = events(&session.id, lone.clone(), environment);
        let expected = session.expected_version();
        done(update_session(store, scope, session, expected, &events, None).await);
    }
    assert_in_sequence(store, &sessions, lone.end - 1, "lone updates").await;

    let linked = take();
    commit_all(&sessions, async |session| {
        let events = events(&session.id, linked.clone(), environment);
        let quota = RateQuota { name: "test", count: 1_000, window: Duration::from_secs(1) };
        let attempt = LinkAttempt {
            rate_quota: quota,
            organization_quota: quota,
            ..contract::attempt(&session, None, environment.now())
        };
        let expected = Some(session.expected_version());
        link_session(store, scope, &session, expected, &events, &attempt).await
    })
    .await;
    assert_in_sequence(store, &sessions, linked.end - 1, "transactions with a link attempt").await;

    let by_system = take();
    commit_all(&sessions, async |session| {
        let events = events(&session.id, by_system.clone(), environment);
        update_by_system(store, &session, session.expected_version(), &events).await.map(Ok)
    })
    .await;
    assert_in_sequence(store, &sessions, by_system.end - 1, "updates by the worker").await;

    let deleted = take();
    commit_all(&sessions, async |session| {
        let events = events(&session.id, deleted.clone(), environment);
        let cleanup = cleanup_of(&session, scope, environment.now());
        delete_session(store, scope, session.version, &cleanup, &events).await
    })
    .await;
    assert_in_sequence(store, &sessions, deleted.end - 1, "deletions").await;

    let [postponed, finished] = [take(), take()];
    for (path, sequences) in [("postponed cleanups", postponed), ("finished cleanups", finished)] {
        commit_all(&sessions, async |session| {
            let events = events(&session.id, sequences.clone(), environment);
            let cleanup = cleanup_of(&session, scope, environment.now());
            let change = match path {
                "postponed cleanups" => SystemWrite::Postpone(cleanup),
                _ => SystemWrite::Finish(cleanup),
            };
            write_by_system(store, change, &events).await.map(Ok)
        })
        .await;
        assert_in_sequence(store, &sessions, sequences.end - 1, path).await;
    }
}

on_both!(positions_follow_sequence_numbers_in_every_commit);

/// Inserts an event past the store, as any program with access to the database can.
fn insert_statement(id: u128) -> String {
    format!(
        "INSERT INTO events (id, organization, session, sequence, name, at, actor_kind, payload)
            VALUES ('{}', 'acme', NULL, 0, 'session.deleted', 1, 'system', '[]')",
        EventId::from_bits(id)
    )
}

fn ids(found: &[FeedEvent]) -> Vec<EventId> {
    found.iter().map(|found| found.event.id.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn event_of_an_open_transaction_holds_back_later_events() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    let (store, slow) = (test_db.open().await, test_db.client().await);
    slow.batch_execute(&format!("BEGIN; {}", insert_statement(1))).await.expect("open");
    test_db.execute(&insert_statement(2)).await;
    assert_eq!(feed(&store).await, [], "the event of the first transaction may still come");
    let held_back = store.horizon().await.expect("the horizon");
    assert!(held_back.safe < held_back.newest, "{held_back:?}");
    slow.batch_execute("COMMIT").await.expect("committed");
    assert_eq!(ids(&feed(&store).await), [1, 2].map(EventId::from_bits));

    slow.batch_execute(&format!("BEGIN; {}", insert_statement(3))).await.expect("open");
    test_db.execute(&insert_statement(4)).await;
    assert_eq!(feed(&store).await.len(), 2);
    slow.batch_execute("ROLLBACK").await.expect("rolled back");
    assert_eq!(ids(&feed(&store).await), [1, 2, 4].map(EventId::from_bits));
    let horizon = store.horizon().await.expect("the horizon");
    assert_eq!(horizon.safe, horizon.newest);
}

/// Reads the feed from a position on, as the tail does, until a position.
async fn follow(store: &Database, events: &mut Vec<FeedEvent>, position: &mut FeedPosition) {
    let until = store.horizon().await.expect("the horizon").safe;
    while *position < until {
        let page = store.page_of_all(*position, until, 50).await.expect("a page");
        events.extend(page.events);
        *position = page.until;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_lose_no_event_and_invert_none() {
    const WRITERS: usize = 6;
    let Some(test_db) = TestDatabase::postgres().await else { return };
    let (reader, slow) = (test_db.open().await, test_db.client().await);
    let environment = TestEnvironment::new();
    let stop = Arc::new(tokio::sync::Semaphore::new(0));
    // Each router has a pool of its own and several writers, whose commits share batches.
    let mut writers = Vec::new();
    for _ in 0..3 {
        let store = test_db.open().await;
        for _ in 0..WRITERS {
            let (store, environment, stop) = (store.clone(), environment.clone(), stop.clone());
            writers.push(tokio::spawn(async move {
                let mut written = 0;
                while stop.try_acquire().is_err() {
                    let session = session(&environment);
                    let events = events(&session.id, 1..4, &environment);
                    done(insert_session(&store, &scope(), &session, &events, None).await);
                    let events = events_after(&session, &environment);
                    let expected = session.expected_version();
                    done(update_session(&store, &scope(), &session, expected, &events, None).await);
                    written += 5;
                }
                written
            }));
        }
    }
    let mut held = Vec::new();
    let (mut position, mut found) = (FeedPosition::START, Vec::new());
    // A transaction stays open for 2 s, twice.
    for turn in [1, 2] {
        slow.batch_execute(&format!("BEGIN; {}", insert_statement(turn))).await.expect("open");
        held.push(EventId::from_bits(turn));
        let open = sleep(Duration::from_secs(2));
        tokio::pin!(open);
        while timeout(Duration::from_millis(3), &mut open).await.is_err() {
            follow(&reader, &mut found, &mut position).await;
        }
        let horizon = reader.horizon().await.expect("the horizon");
        assert!(horizon.safe < horizon.newest, "the transaction holds the feed back");
        slow.batch_execute("COMMIT").await.expect("committed");
        follow(&reader, &mut found, &mut position).await;
    }
    stop.add_permits(writers.len());
    let mut written = held.len();
    while let Some(writer) = writers.pop() {
        written += writer.await.expect("no panic");
        follow(&reader, &mut found, &mut position).await;
    }
    follow(&reader, &mut found, &mut position).await;
    assert!(written > 500, "{written} events");
    assert_eq!(found.len(), written, "no event is lost");
    assert!(found.is_sorted_by(|a, b| a.position < b.position));
    let unique: HashSet<_> = ids(&found).into_iter().collect();
    assert_eq!(unique.len(), written, "no event comes twice");
    let mut sequences = BTreeMap::<_, u64>::new();
    for FeedEvent { event, .. } in &found {
        let Some(session) = &event.session else { continue };
        let newest = sequences.entry(session).or_default();
        assert_eq!(event.sequence, *newest + 1, "no event of a session is inverted");
        *newest += 1;
    }
}

fn events_after(session: &Session, environment: &TestEnvironment) -> Vec<Event> {
    events(&session.id, 4..6, environment)
}
