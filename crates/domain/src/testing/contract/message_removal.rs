//! Suite of [`MessageRetentionStore`]: the removal of messages by age, and of those of deleted sessions.

use std::{sync::Arc, time::Duration};

use crate::{
    caller::Capability,
    deadlines::Deadlines,
    event::payload::EventPayload,
    idempotency::IdempotencyKeyHash,
    message::retention::MessageRetention,
    messaging::change::AcceptanceKey,
    outbox::request::NewMessage,
    ports::{
        environment::Environment as _,
        error::PortError,
        store::{
            erasure::ErasureStore, events::EventLog, message_retention::MessageRetentionStore,
            sessions::SessionStore, written::Written,
        },
    },
    session::{message_storage::MessageStorage, partial_session::PartialSession},
    testing::{
        contract::fixtures::stored_events,
        environment::TestEnvironment,
        messaging_fixture::{alone, phone},
        notifier::TestNotifier,
        outbox_fixture::{OutboxFixture, OutboxTestStore, request},
        writes::{insert_session, write_session},
    },
};

const ADA: &str = "15551230001";
const BOB: &str = "15551230002";
const HOUR: Duration = Duration::from_secs(3600);

/// The stores that tests of the removal need.
pub trait RemovalTestStore:
    OutboxTestStore + MessageRetentionStore + ErasureStore + EventLog
{
}

impl<S> RemovalTestStore for S where
    S: OutboxTestStore + MessageRetentionStore + ErasureStore + EventLog
{
}

fn retention_of<S: RemovalTestStore>(fixture: &OutboxFixture<S>) -> MessageRetention {
    let (store, environment) = (fixture.inbound.store.clone(), fixture.inbound.environment.clone());
    MessageRetention::new(store, environment.clone(), TestNotifier::new(environment))
}

/// Removes all messages of deleted sessions, some rows at a time.
async fn remove_deleted<S: RemovalTestStore>(fixture: &OutboxFixture<S>) {
    let retention = retention_of(fixture);
    while retention.remove_deleted(2).await.expect("the store is there") {}
}

async fn remove_old<S: RemovalTestStore>(fixture: &OutboxFixture<S>) {
    let retention = retention_of(fixture);
    while !retention.remove_old(100).await.expect("the store is there") {}
}

/// Deletes the session of a fixture as a caller does.
async fn delete<S: RemovalTestStore>(fixture: &OutboxFixture<S>) {
    let (store, environment) = (&*fixture.inbound.store, &*fixture.inbound.environment);
    let scope = fixture.inbound.caller.may(Capability::Manage).expect("may manage");
    let found = SessionStore::find(store, &scope, fixture.id()).await;
    let found = found.expect("the store is there");
    let session = PartialSession::from(&found.expect("the session"));
    let commit = session.deletion(&scope, &Deadlines::default(), environment);
    let written = write_session(store, &scope, commit.change, &commit.events, None).await;
    assert_eq!(written.expect("a delete"), Ok(Written::Done));
}

/// Returns the texts of all messages, oldest first.
async fn bodies<S: RemovalTestStore>(fixture: &OutboxFixture<S>) -> Vec<Option<String>> {
    let mut all = fixture.all().await;
    all.sort_by_key(|shown| shown.message.id);
    all.iter().map(|shown| shown.message.body().map(ToOwned::to_owned)).collect()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

/// After the removal of a deleted session's messages, one event of their stream is left, which states
/// their number. Events of the session itself and messages of other sessions stay.
pub async fn messages_of_a_deleted_session_are_removed(
    store: Arc<impl RemovalTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = OutboxFixture::new(store.clone(), environment.clone()).await;
    let other = OutboxFixture::new(store.clone(), environment.clone()).await;
    let inbound = &fixture.inbound;
    for (n, partner) in [ADA, ADA, BOB].into_iter().enumerate() {
        let fact = inbound.text(alone(phone(partner)), &format!("A{n}"), "text");
        inbound.deliver_facts([fact]).await;
    }
    fixture.accept(ADA, "waits").await;
    other.inbound.deliver_facts([other.inbound.text(alone(phone(ADA)), "A0", "stays")]).await;
    let told = u64::try_from(inbound.payloads().await.len()).expect("a number");
    let scope = inbound.scope();
    let own_events = stored_events(&*store, &scope).await.len();

    delete(&fixture).await;
    let unfinished =
        async || store.unfinished_deletions(scope.organization()).await.expect("count");
    assert_eq!(store.session_messaging(&scope, fixture.id()).await.expect("a read"), None);
    let with_messages = unfinished().await;
    remove_deleted(&fixture).await;
    assert_eq!(unfinished().await, with_messages - 1);
    let left = inbound.events().await;
    let left: Vec<_> = left.into_iter().map(|event| (event.sequence, event.payload)).collect();
    assert_eq!(left, [(told + 1, EventPayload::SessionMessagesDeleted { removed: 4 })]);
    assert_eq!(stored_events(&*store, &scope).await.len(), own_events + 1, "session.deleted");
    assert!(!fixture.claim().await);
    assert_eq!(bodies(&other).await, some(&["stays"]));
    assert_eq!(other.inbound.payloads().await.len(), 1);

    let empty = OutboxFixture::new(store.clone(), environment).await;
    delete(&empty).await;
    remove_deleted(&empty).await;
    assert_eq!(empty.inbound.events().await, [], "nothing was removed");
}

/// A session with the id of a deleted one has no messages, stores none before those of the deleted one
/// are removed, and continues the sequence numbers.
pub async fn messages_of_an_adopted_session_continue_the_sequence(
    store: Arc<impl RemovalTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = OutboxFixture::new(store.clone(), environment).await;
    let inbound = &fixture.inbound;
    let text = |wa_id| inbound.text(alone(phone(ADA)), wa_id, "text");
    inbound.deliver_facts([text("A1"), text("A2")]).await;
    delete(&fixture).await;
    let scope = inbound.caller.may(Capability::Manage).expect("may manage");
    let written = insert_session(&*store, &scope, &inbound.session, &[], None).await;
    assert_eq!(written.expect("an insert"), Ok(Written::Done));
    assert_eq!(store.session_messaging(&scope, fixture.id()).await.expect("a read"), None);
    let lookup = crate::messaging::state::MessagingLookup {
        session: fixture.id().clone(),
        names: [].into(),
        wa_ids: [].into(),
    };
    let early = store.messaging_states(&[lookup]).await;
    assert!(matches!(early, Err(PortError::Broken(_))), "{early:?}");

    remove_deleted(&fixture).await;
    assert_eq!(fixture.all().await, []);
    inbound.deliver_facts([text("A1")]).await;
    let numbers: Vec<_> = inbound.events().await.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, [3, 4]);
    assert_eq!(bodies(&fixture).await, some(&["text"]));
}

/// Bodies and messages go when they are older than the session asks for. A message that waits to be
/// sent stays whole.
pub async fn old_parts_of_messages_are_removed(
    store: Arc<impl RemovalTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = OutboxFixture::new(store.clone(), environment.clone()).await;
    let other = OutboxFixture::new(store.clone(), environment.clone()).await;
    other.set(|settings| settings.retention_days = 0).await;
    other.inbound.deliver_facts([other.inbound.text(alone(phone(ADA)), "A0", "stays")]).await;
    fixture
        .set(|settings| (settings.messages, settings.retention_days) = (MessageStorage::Headers, 3))
        .await;
    let inbound = &fixture.inbound;
    let text = |wa_id| inbound.text(alone(phone(ADA)), wa_id, wa_id);
    inbound.deliver_facts([text("old")]).await;
    environment.advance(12 * HOUR);
    inbound.deliver_facts([text("newer")]).await;
    let expires_at = Some(environment.now().plus(168 * HOUR));
    let waits = NewMessage { expires_at, ..request(BOB, "waits") };
    let waits = fixture.try_accept(&waits, None).await.expect("accepted").shown.message.wa_id;
    inbound.deliver_facts([text("behind")]).await;
    remove_old(&fixture).await;
    assert_eq!(bodies(&fixture).await, some(&["old", "newer", "waits", "behind"]));

    environment.advance(13 * HOUR);
    remove_old(&fixture).await;
    let after_a_day = [vec![None], some(&["newer", "waits", "behind"])].concat();
    assert_eq!(bodies(&fixture).await, after_a_day);
    let payloads = inbound.payloads().await;
    let told = payloads.iter().find_map(|payload| match payload {
        EventPayload::Message { body, removed, .. } => Some((body.clone(), *removed)),
        _ => None,
    });
    assert_eq!(told, Some((None, true)), "the event of the first message");

    environment.advance(13 * HOUR);
    remove_old(&fixture).await;
    assert_eq!(bodies(&fixture).await, [vec![None, None], some(&["waits", "behind"])].concat());
    let (caller, session) = (&inbound.caller, fixture.id().as_str());
    fixture.outbox.cancel(caller, session, waits.as_str()).await.expect("a cancellation");
    remove_old(&fixture).await;
    assert_eq!(bodies(&fixture).await, vec![None; 4]);

    environment.advance(35 * HOUR);
    remove_old(&fixture).await;
    assert_eq!(bodies(&fixture).await.len(), 3, "the first message is older than 3 days");
    inbound.deliver_facts([text("newest")]).await;
    fixture.set(|settings| settings.messages = MessageStorage::None).await;
    remove_old(&fixture).await;
    assert_eq!(bodies(&fixture).await, some(&["newest"]));
    let numbers = inbound.payloads().await.len();
    assert_eq!(numbers, payloads.len() + 2, "no event is removed: one told the end, one is new");
    assert_eq!(bodies(&other).await, some(&["stays"]));
}

/// The entry of a finished message leaves the outbox after a day; the message stays. Entries of
/// messages that wait stay.
pub async fn finished_entries_leave_the_outbox(
    store: Arc<impl RemovalTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = OutboxFixture::new(store.clone(), environment.clone()).await;
    let key = AcceptanceKey { key_hash: IdempotencyKeyHash([7; 32]), request: [8; 32] };
    let expires_at = Some(environment.now().plus(168 * HOUR));
    for (to, key) in [(ADA, Some(key.clone())), (BOB, None)] {
        let message = NewMessage { expires_at, ..request(to, to) };
        fixture.try_accept(&message, key).await.expect("accepted");
    }
    let handed = fixture.dispatch().await;
    let to_ada = handed.iter().find(|message| message.text == ADA).expect("handed over");
    fixture.answer(to_ada, None).await;
    let (scope, retention) = (fixture.inbound.scope(), retention_of(&fixture));
    let entry = async || store.entry_by_key(&scope, &key.key_hash).await.expect("a read");
    environment.advance(23 * HOUR);
    assert_eq!(retention.remove_entries(10).await.expect("a sweep"), 0);
    assert!(entry().await.is_some());
    environment.advance(2 * HOUR);
    assert_eq!(retention.remove_entries(10).await.expect("a sweep"), 1);
    assert_eq!(entry().await, None);
    let mut left: Vec<_> = fixture.all().await;
    left.sort_by_key(|shown| shown.message.id);
    let left: Vec<_> = left.iter().map(|shown| shown.message.outbox.is_some()).collect();
    assert_eq!(left, [false, true]);
    assert_eq!(retention.remove_entries(10).await.expect("a sweep"), 0);
}
