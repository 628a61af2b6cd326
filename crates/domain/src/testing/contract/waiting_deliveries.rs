//! Suite of [`DeliveryStore`]: which webhooks are live, behind and due, and the events that wait.

use crate::{
    access::Scope,
    event::{Event, payload::EventPayload, stream::EventStream},
    feed::position::{FeedEvent, FeedPage, FeedPosition},
    ports::{
        environment::Environment,
        store::{
            deliveries::DeliveryStore, feed::Feed, sessions::SessionStore, webhooks::WebhookStore,
            written::Written,
        },
    },
    session::version::Version,
    testing::{
        contract::{
            deliveries::{claim, flush, is_written, leased},
            delivery_rows::dead_letter,
            fixtures::{assert_inserted, fresh_scope, fresh_session},
            webhooks::{insert, write},
        },
        writes::insert_session,
    },
    webhook::{
        dead_letter::DeadLetter,
        delivery::{
            changes::DeliveryChanges,
            lease::{LEASE, LeaseChange, LeasedWebhook},
            lookup::LookupRange,
        },
        model::Webhook,
        write::WebhookWrite,
    },
};

/// More than every list of the suite.
const MANY: u32 = 100_000;

/// Writes events of the organization and returns them with their positions.
async fn append(
    store: &(impl WebhookStore + Feed),
    scope: &Scope,
    webhook: &Webhook,
    version: u64,
    environment: &dyn Environment,
) -> FeedEvent {
    let after = store.horizon().await.expect("horizon").newest;
    let payload = EventPayload::WebhookGap { webhook: webhook.id.clone() };
    let event = Event::of_organization(payload, scope.organization(), scope.actor(), environment);
    let next = Webhook { version: Version(version + 1), ..webhook.clone() };
    let update = WebhookWrite::Update { webhook: next, expected: Version(version), restart: None };
    assert_eq!(write(store, scope, update, std::slice::from_ref(&event)).await, Ok(Written::Done));
    let until = store.horizon().await.expect("horizon").newest;
    let page = store.page_of_all(after, until, MANY).await.expect("events");
    page.events.into_iter().find(|found| found.event == event).expect("the event")
}

/// Live webhooks, those behind, and the events of retry queues and dead letters are found.
pub async fn waiting_deliveries_are_found(
    store: &(impl DeliveryStore + WebhookStore + Feed),
    environment: &dyn Environment,
) {
    let (scope, other) = (fresh_scope(environment), fresh_scope(environment));
    let webhook = insert(store, &scope, FeedPosition::START, environment).await;
    let idle = insert(store, &other, FeedPosition::START, environment).await;
    let events = [
        append(store, &scope, &webhook, 1, environment).await,
        append(store, &scope, &webhook, 2, environment).await,
    ];
    let now = environment.now();
    let behind = async |now| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.behind(after.as_ref(), now, 2).await.expect("webhooks");
            found.extend(page.0);
            after = page.1;
            if after.is_none() {
                return found;
            }
        }
    };
    assert!(behind(now).await.contains(&webhook.key()) && !behind(now).await.contains(&idle.key()));
    let follows = store.behind(Some(&webhook.key()), now, MANY).await.expect("webhooks");
    assert!(!follows.0.contains(&webhook.key()) && follows.1.is_none());
    let LeasedWebhook { epoch, .. } = leased(store, &claim("a", now), &webhook).await;
    assert!(!behind(now).await.contains(&webhook.key()), "a router delivers");

    let organization = scope.organization();
    let [first, last] = events.each_ref().map(|found| found.position);
    let found = async |organization, range, limit| {
        store.events_in(organization, &range, limit).await.expect("events")
    };
    assert_eq!(found(organization, LookupRange::Event(first), 9).await, events[..1]);
    assert_eq!(found(other.organization(), LookupRange::Event(first), 9).await, []);
    let range = |after, until| LookupRange::Organization { after, until };
    assert_eq!(found(organization, range(FeedPosition::START, last), 9).await, events);
    assert_eq!(found(organization, range(first, last), 9).await, events[1..]);
    assert_eq!(found(organization, range(FeedPosition::START, last), 1).await, events[..1]);
    assert_eq!(found(other.organization(), range(FeedPosition::START, last), 9).await, []);

    let dead = events.each_ref().map(|found| DeadLetter {
        position: found.position,
        ..dead_letter(found.event.id.clone(), None, now)
    });
    let changes = DeliveryChanges { dead_letters: dead.to_vec(), ..DeliveryChanges::default() };
    let keep = LeaseChange::Renew(now.plus(LEASE));
    assert!(is_written(store, flush(&webhook, epoch, keep, changes)).await);
    let dead_events = async |webhook: &Webhook, after, limit| {
        store.dead_events(&webhook.key(), after, last, limit).await.expect("events")
    };
    let page = |events: &[FeedEvent], until| FeedPage { events: events.to_vec(), until };
    assert_eq!(dead_events(&webhook, FeedPosition::START, 9).await, page(&events, last));
    assert_eq!(dead_events(&webhook, FeedPosition::START, 1).await, page(&events[..1], first));
    assert_eq!(dead_events(&webhook, first, 9).await, page(&events[1..], last));
    assert_eq!(dead_events(&idle, FeedPosition::START, 9).await, page(&[], last));
    let replayed = vec![(events[0].event.id.clone(), now)];
    let changes = DeliveryChanges { replayed, ..DeliveryChanges::default() };
    assert!(is_written(store, flush(&webhook, epoch, keep, changes)).await);
    assert_eq!(dead_events(&webhook, FeedPosition::START, 9).await, page(&events[1..], last));
}

/// The events of a session are found for its organization alone, after a sequence number.
pub async fn events_of_a_session_are_found(
    store: &(impl DeliveryStore + SessionStore),
    environment: &dyn Environment,
) {
    let (scope, other) = (fresh_scope(environment), fresh_scope(environment));
    let (session, events) = fresh_session(&scope, environment);
    assert_inserted(insert_session(store, &scope, &session, &events, None).await);
    let found = async |scope: &Scope, stream, after| {
        let range = LookupRange::Session { session: session.id.clone(), stream, after };
        let found = store.events_in(scope.organization(), &range, MANY).await.expect("events");
        found.into_iter().map(|found| found.event).collect::<Vec<_>>()
    };
    assert_eq!(found(&scope, EventStream::Session, 0).await, events);
    assert_eq!(found(&scope, EventStream::Session, 1).await, events[1..]);
    assert_eq!(found(&scope, EventStream::Messages, 0).await, []);
    assert_eq!(found(&other, EventStream::Session, 0).await, []);
}

/// Every live webhook is listed once.
pub async fn live_webhooks_are_listed_once(
    store: &(impl DeliveryStore + WebhookStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let mut made = Vec::new();
    for n in 0..5 {
        let webhook = insert(store, &scope, FeedPosition::START, environment).await;
        let next = Webhook { paused: n == 2, version: Version(2), ..webhook };
        let update =
            WebhookWrite::Update { webhook: next.clone(), expected: Version(1), restart: None };
        assert_eq!(write(store, &scope, update, &[]).await, Ok(Written::Done));
        if !next.paused {
            made.push(next);
        }
    }
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.live_webhooks(after.as_ref(), 2).await.expect("webhooks");
        listed.extend(page.0);
        after = page.1;
        if after.is_none() {
            break;
        }
    }
    listed.retain(|webhook| webhook.organization == *scope.organization());
    assert_eq!(listed, made);
    let mut own = store.live_webhooks_of(scope.organization()).await.expect("webhooks");
    own.sort_by_key(|webhook| webhook.id.clone());
    assert_eq!(own, made);
}
