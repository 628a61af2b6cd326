//! Suite of [`WorkerStore`] and [`OrganizationFeed`]: retention of events.

use std::time::Duration;

use crate::{
    access::Scope,
    event::{
        Event,
        fields::Omittable,
        payload::{EventName, EventPayload},
    },
    ports::{
        environment::Environment,
        store::{
            events::EventLog,
            feed::{Feed, OrganizationFeed},
            sessions::SessionStore,
            worker::WorkerStore,
        },
    },
    session::status::Status,
    testing::{
        contract::{
            feed::rights,
            fixtures::{assert_inserted, fresh_scope, fresh_session, stored_events},
        },
        writes::insert_session,
    },
    time::Timestamp,
};

/// A time before the events of other suites.
const LONG_AGO: Timestamp = Timestamp::from_millis(1_000_000);

/// Writes a session with two events at a time: `session.created`, which the audit log keeps, and
/// `session.status`. Returns the events.
async fn write(
    store: &impl SessionStore,
    scope: &Scope,
    at: Timestamp,
    environment: &dyn Environment,
) -> [Event; 2] {
    let (session, mut events) = fresh_session(scope, environment);
    let payload = EventPayload::SessionStatus {
        status: Status::Starting,
        reason: None,
        message: None,
        unlink: Omittable(None),
    };
    let status = Event::of_organization(payload, scope.organization(), scope.actor(), environment);
    events.push(Event { session: Some(session.id.clone()), sequence: 2, ..status });
    for event in &mut events {
        event.at = at;
    }
    assert_inserted(insert_session(store, scope, &session, &events, None).await);
    let [created, status] = events.try_into().expect("two events");
    assert_eq!(created.name(), EventName::SessionCreated);
    [created, status]
}

fn after_seconds(seconds: u64) -> Timestamp {
    LONG_AGO.plus(Duration::from_secs(seconds))
}

async fn prune_all(store: &impl WorkerStore, before: Timestamp, limit: u32) -> u32 {
    let mut examined = 0;
    loop {
        let now = store.prune_feed(before, limit).await.expect("prune");
        assert!(now <= limit);
        examined += now;
        if now == 0 {
            return examined;
        }
    }
}

/// Old events leave the feed, the floors move, and positions below a floor are gone. The audit log
/// keeps its kinds.
pub async fn old_events_leave_the_feed_and_floors_move(
    store: &(impl SessionStore + EventLog + Feed + OrganizationFeed + WorkerStore),
    environment: &dyn Environment,
) {
    let (busy, quiet) = (fresh_scope(environment), fresh_scope(environment));
    let begin = store.horizon().await.expect("the horizon").safe;
    let [first_created, first_status] = write(store, &busy, after_seconds(1), environment).await;
    let [second_created, _] = write(store, &busy, after_seconds(2), environment).await;
    let [third_created, third_status] = write(store, &busy, after_seconds(50), environment).await;
    let quiet_events = write(store, &quiet, after_seconds(51), environment).await;
    let (of_busy, of_quiet) = (rights(&busy), rights(&quiet));
    let end = store.horizon().await.expect("the horizon").safe;
    let second_position = store.position_of(&of_busy, &second_created.id).await.expect("a look-up");

    assert_eq!(prune_all(store, after_seconds(10), 3).await, 4, "each event is examined once");
    let floor = store.floor(&of_busy).await.expect("the floor");
    assert!(Some(floor.position) > second_position && floor.position < end);
    assert_eq!(floor.oldest.as_ref(), Some(&third_created.id));
    let log = stored_events(store, &busy).await;
    assert_eq!(
        log,
        [first_created.clone(), second_created, third_created.clone(), third_status.clone()]
    );
    for removed in [&first_created.id, &first_status.id] {
        assert_eq!(store.position_of(&of_busy, removed).await.expect("a look-up"), None);
    }
    for gone in [begin, second_position.expect("stored before")] {
        assert_eq!(store.feed_page(&of_busy, gone, end, 9).await.expect("a page"), None);
    }
    let page = store.feed_page(&of_busy, floor.position, end, 9).await.expect("a page");
    let page = page.expect("nothing is removed after the floor");
    let events: Vec<_> = page.events.into_iter().map(|found| found.event).collect();
    assert_eq!(events, [third_created, third_status]);

    let page = store.feed_page(&of_quiet, begin, end, 9).await.expect("a page");
    let page = page.expect("no event of this organization is removed");
    let events: Vec<_> = page.events.into_iter().map(|found| found.event).collect();
    assert_eq!(events, quiet_events);
    assert_eq!(prune_all(store, after_seconds(10), 3).await, 0, "nothing is old");
}

/// The newest event of all stays, so that its position does not come again.
pub async fn newest_event_of_all_is_not_removed(
    store: &(impl SessionStore + EventLog + Feed + OrganizationFeed + WorkerStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let [created, status] = write(store, &scope, LONG_AGO, environment).await;
    let before = store.horizon().await.expect("the horizon");
    prune_all(store, after_seconds(10), 1).await;
    assert_eq!(stored_events(store, &scope).await, [created.clone(), status.clone()]);
    let floor = store.floor(&rights(&scope)).await.expect("the floor");
    assert_eq!(floor.oldest, Some(status.id.clone()));
    assert_eq!(store.horizon().await.expect("the horizon"), before);
    let later = write(store, &scope, after_seconds(20), environment).await;
    prune_all(store, after_seconds(10), 1).await;
    let [later_created, later_status] = later;
    assert_eq!(stored_events(store, &scope).await, [created, later_created, later_status]);
}

/// Events that the feed has removed leave the audit log after its retention, from each organization
/// in turn.
pub async fn old_audit_events_are_removed_below_the_floor(
    store: &(impl SessionStore + EventLog + Feed + OrganizationFeed + WorkerStore),
    environment: &dyn Environment,
) {
    let scopes = [fresh_scope(environment), fresh_scope(environment)];
    let mut kept = Vec::new();
    for scope in &scopes {
        for second in 0..3 {
            write(store, scope, after_seconds(second), environment).await;
        }
    }
    for scope in &scopes {
        kept.push(write(store, scope, after_seconds(50), environment).await.to_vec());
    }
    let remove_all = async || {
        let mut removed = 0;
        while let Some(now) = store.prune_audit(after_seconds(10), 2).await.expect("prune") {
            assert!(now <= 2);
            removed += now;
        }
        removed
    };
    assert_eq!(remove_all().await, 0, "the events are in the feed");
    prune_all(store, after_seconds(10), 100).await;
    for scope in &scopes {
        assert_eq!(stored_events(store, scope).await.len(), 5);
    }
    assert_eq!(remove_all().await, 6);
    for (scope, kept) in scopes.iter().zip(kept) {
        assert_eq!(stored_events(store, scope).await, kept);
        let floor = store.floor(&rights(scope)).await.expect("the floor");
        assert_eq!(floor.oldest, Some(kept[0].id.clone()));
    }
    assert_eq!(remove_all().await, 0);
}
