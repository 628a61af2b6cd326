//! Suite of [`Feed`] and [`OrganizationFeed`].

use crate::{
    access::Scope,
    caller::{Caller, Capability, Reach},
    event::Event,
    feed::{
        filter::FeedRights,
        position::{FeedEvent, FeedPosition},
    },
    id::EventId,
    ports::{
        environment::Environment,
        store::{
            feed::{Feed, OrganizationFeed},
            sessions::SessionStore,
        },
    },
    testing::{
        contract::{
            fixtures::{assert_inserted, fresh_scope, fresh_session},
            keys::{created, key},
        },
        writes::insert_session,
    },
};

/// Writes sessions of two organizations in turn, each second one with an event of the organization,
/// and returns the events of each organization in the order of the writes.
async fn write_events(
    store: &impl SessionStore,
    scopes: [&Scope; 2],
    environment: &dyn Environment,
) -> [Vec<Event>; 2] {
    let mut written = [Vec::new(), Vec::new()];
    for n in 0..8 {
        let scope = scopes[n % 2];
        let (session, mut events) = fresh_session(scope, environment);
        if n % 4 < 2 {
            let payload = created(&key(scope, environment, false));
            let (organization, actor) = (scope.organization(), scope.actor());
            events.push(Event::of_organization(payload, organization, actor, environment));
        }
        assert_inserted(insert_session(store, scope, &session, &events, None).await);
        written[n % 2].extend(events);
    }
    written
}

/// Returns the rights of a manager of the scope's organization.
pub(super) fn rights(scope: &Scope) -> FeedRights {
    FeedRights::of(&Caller::operator(scope.organization().clone())).expect("may manage")
}

fn events(found: &[FeedEvent]) -> Vec<Event> {
    found.iter().map(|found| found.event.clone()).collect()
}

async fn read_all(
    store: &impl OrganizationFeed,
    rights: &FeedRights,
    after: FeedPosition,
    until: FeedPosition,
) -> Vec<FeedEvent> {
    let (mut position, mut all) = (after, Vec::new());
    while position < until {
        let page = store.feed_page(rights, position, until, 3).await.expect("a page");
        let page = page.expect("nothing is removed");
        assert!(page.events.len() <= 3 && page.until > position);
        all.extend(page.events);
        position = page.until;
    }
    all
}

/// The feed contains each committed event once, in one order, which is that of the commits.
pub async fn feed_contains_every_event_once_in_order(
    store: &(impl SessionStore + Feed + OrganizationFeed),
    environment: &dyn Environment,
) {
    let scopes = [fresh_scope(environment), fresh_scope(environment)];
    let start = store.horizon().await.expect("the horizon").safe;
    let written = write_events(store, [&scopes[0], &scopes[1]], environment).await;
    let until = store.horizon().await.expect("the horizon").safe;
    let (mut position, mut all) = (start, Vec::new());
    while position < until {
        let page = store.page_of_all(position, until, 5).await.expect("a page");
        assert!(page.events.is_sorted_by(|a, b| a.position < b.position));
        let within = |found: &FeedEvent| found.position > position && found.position <= page.until;
        assert!(page.events.iter().all(within) && page.events.len() <= 5);
        assert!(page.until > position && page.until <= until);
        position = page.until;
        all.extend(page.events);
    }
    for (scope, written) in scopes.iter().zip(&written) {
        let own: Vec<_> = all
            .iter()
            .filter(|found| found.event.organization == *scope.organization())
            .cloned()
            .collect();
        assert_eq!(events(&own), *written);
        assert_eq!(read_all(store, &rights(scope), start, until).await, own);
        let page = store.feed_page(&rights(scope), own[1].position, own[3].position, 9).await;
        let page = page.expect("a page").expect("nothing is removed");
        assert_eq!(events(&page.events), written[2..4]);
        assert_eq!(page.until, own[3].position);
    }
}

/// A confined reader finds the events of its sessions alone, and the position of no other event.
pub async fn feed_is_read_within_scope(
    store: &(impl SessionStore + Feed + OrganizationFeed),
    environment: &dyn Environment,
) {
    let (scope, other) = (fresh_scope(environment), fresh_scope(environment));
    let start = store.horizon().await.expect("the horizon").safe;
    let rights = rights(&scope);
    let [own, foreign] = write_events(store, [&scope, &other], environment).await;
    let until = store.horizon().await.expect("the horizon").safe;
    for event in &own {
        let position = store.position_of(&rights, &event.id).await.expect("a look-up");
        assert!(position.is_some_and(|position| position > start && position <= until));
    }
    for id in [&foreign[0].id, &EventId::from_bits(environment.ulid())] {
        assert_eq!(store.position_of(&rights, id).await.expect("a look-up"), None);
    }
    let floor = store.floor(&rights).await.expect("the floor");
    assert_eq!((floor.position, floor.oldest), (FeedPosition::START, Some(own[0].id.clone())));

    let session = own.iter().rev().find_map(|event| event.session.clone()).expect("a session");
    let mut caller = Caller::operator(scope.organization().clone());
    caller.reach = Reach::Only([session.clone()].into());
    let confined = FeedRights::of(&caller).expect("may manage");
    let visible: Vec<_> =
        own.iter().filter(|event| event.session.as_ref() == Some(&session)).cloned().collect();
    assert_eq!(events(&read_all(store, &confined, start, until).await), visible);
    let floor = store.floor(&confined).await.expect("the floor");
    assert_eq!(floor.oldest.as_ref(), visible.first().map(|event| &event.id));
    for event in &own {
        let position = store.position_of(&confined, &event.id).await.expect("a look-up");
        assert_eq!(position.is_some(), visible.contains(event), "{event:?}");
    }

    // No kind of event is visible to a reader without `manage`.
    caller.reach = Reach::Everything;
    caller.capabilities = [Capability::Read, Capability::Send].into_iter().collect();
    let reader = FeedRights::of(&caller).expect("has a capability");
    assert_eq!(read_all(store, &reader, start, until).await, []);
    assert_eq!(store.floor(&reader).await.expect("the floor").oldest, None);
    assert_eq!(store.position_of(&reader, &own[0].id).await.expect("a look-up"), None);
}
