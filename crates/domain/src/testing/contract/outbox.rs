//! Suite of [`OutboxStore`](crate::ports::OutboxStore): messages to send, from their acceptance to their
//! end.

use std::{sync::Arc, time::Duration};

use crate::{
    caller::{Caller, Capability},
    error::Error,
    event::payload::EventPayload,
    id::OrganizationId,
    idempotency::IdempotencyKeyHash,
    message::{
        message_id::MessageId,
        state::{AckLevel, FailureReason, MessageFailure, MessageState, MessageStatus},
    },
    messaging::{change::AcceptanceKey, state::ChatNameText},
    outbox::{
        request::NewMessage,
        sent::{OutboxLimits, SendMode},
    },
    ports::{environment::Environment as _, messaging_control::ContactCheck},
    testing::{
        environment::TestEnvironment,
        messaging_fixture::{ACCOUNT, alone, both, lid, phone},
        outbox_fixture::{OutboxFixture, OutboxTestStore, request, texts},
    },
};

const ADA: &str = "15551230001";
const BOB: &str = "15551230002";
const SECOND: Duration = Duration::from_secs(1);

fn failed(reason: FailureReason) -> MessageState {
    MessageState::Failed(MessageFailure::of(reason))
}

/// Returns the status changes that events tell.
fn changes(payloads: &[EventPayload]) -> Vec<(MessageStatus, MessageStatus)> {
    let change = |payload: &EventPayload| match payload {
        EventPayload::MessageStatusChanged { previous, status, .. } => Some((*previous, *status)),
        _ => None,
    };
    payloads.iter().filter_map(change).collect()
}

/// An accepted message is handed over under its id until WhatsApp's acknowledgement, and reported
/// once.
pub async fn accepted_message_is_sent_under_one_id(
    store: Arc<impl OutboxTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = OutboxFixture::new(store, environment.clone()).await;
    let sent = fixture.accept(ADA, "one").await;
    assert_eq!((sent.queue_position, sent.is_queued()), (Some(0), true));
    assert!(fixture.claim().await);
    assert!(!fixture.claim().await, "a claim postpones");
    let handed = fixture.dispatch().await;
    let wa_id = sent.shown.message.wa_id.as_str();
    let message = &handed[0];
    assert_eq!((&*message.wa_id, &*message.text, handed.len()), (wa_id, "one", 1));
    assert_eq!(message.to, format!("{ADA}@s.whatsapp.net"));
    assert_eq!(message.outbox, sent.shown.message.outbox.as_ref().expect("an id").to_string());
    let shown = fixture.all().await;
    assert!(shown[0].message.awaits_ack);
    assert_eq!(fixture.dispatch().await, [], "the node has the message");
    environment.advance(15 * SECOND);
    fixture.renew_lease().await;
    assert!(fixture.claim().await);
    let again = fixture.dispatch().await;
    assert_eq!((&again[0].outbox, &again[0].wa_id), (&message.outbox, &message.wa_id));
    assert_eq!(again[0].not_after, message.not_after, "the first hand-over counts");
    fixture.answer(message, None).await;
    fixture.answer(message, None).await;
    let shown = &fixture.all().await[0];
    assert_eq!(shown.message.state, MessageState::Reached(AckLevel::Sent));
    assert!(!shown.message.awaits_ack);
    let payloads = fixture.inbound.payloads().await;
    assert_eq!(changes(&payloads), [(MessageStatus::Queued, MessageStatus::Sent)]);
    assert_eq!(fixture.dispatch().await, []);
    assert!(!fixture.claim().await, "nothing waits");
}

/// Messages of one chat leave one after the other, chats do not wait for each other, and a failure
/// frees the chat.
pub async fn messages_of_a_chat_leave_in_order(
    store: Arc<impl OutboxTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = OutboxFixture::new(store, environment).await;
    for (to, text) in [(ADA, "a1"), (ADA, "a2"), (BOB, "b1"), (ADA, "a3"), (BOB, "b2")] {
        fixture.accept(to, text).await;
    }
    let first = fixture.dispatch().await;
    assert_eq!(texts(&first), ["a1", "b1"]);
    assert_eq!(fixture.dispatch().await, []);
    fixture.answer(&first[0], Some(479)).await;
    let second = fixture.dispatch().await;
    assert_eq!(texts(&second), ["a2"]);
    fixture.answer(&first[1], None).await;
    fixture.answer(&second[0], None).await;
    let third = fixture.dispatch().await;
    assert_eq!(texts(&third), ["a3", "b2"]);
    let refused = fixture.all().await.pop().expect("a message").message.state;
    let failure = MessageFailure { code: Some(479), ..MessageFailure::of(FailureReason::Rejected) };
    assert_eq!(refused, MessageState::Failed(failure));
}

/// Messages that expired, or were accepted for another account, end wherever they are in the queue;
/// a message that was handed over for too long is uncertain.
pub async fn messages_end_in_time(
    store: Arc<impl OutboxTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let limits = OutboxLimits { acknowledgement: 30 * SECOND, ..OutboxLimits::default() };
    let fixture = OutboxFixture::with_limits(store, environment.clone(), limits).await;
    let expires_at = Some(environment.now().plus(10 * SECOND));
    fixture.accept(ADA, "handed").await;
    for text in ["behind 1", "behind 2"] {
        let message = NewMessage { expires_at, ..request(ADA, text) };
        fixture.try_accept(&message, None).await.expect("accepted");
    }
    fixture.accept(ADA, "last").await;
    let handed = fixture.dispatch().await;
    assert_eq!(texts(&handed), ["handed"]);
    environment.advance(11 * SECOND);
    assert!(fixture.claim().await, "the expiry is due");
    assert_eq!(fixture.dispatch().await, []);
    environment.advance(80 * SECOND);
    fixture.renew_lease().await;
    let next = fixture.dispatch().await;
    let next = if next.is_empty() { fixture.dispatch().await } else { next };
    assert_eq!(texts(&next), ["last"]);
    let states: Vec<_> = fixture.all().await.iter().map(|shown| shown.message.state).collect();
    let expected = [
        MessageState::Reached(AckLevel::Queued),
        failed(FailureReason::Expired),
        failed(FailureReason::Expired),
        failed(FailureReason::Uncertain),
    ];
    assert_eq!(states, expected);
    // The acknowledgement decides the fate of an uncertain message.
    fixture.answer(&handed[0], None).await;
    let first = fixture.all().await.pop().expect("a message");
    assert_eq!(first.message.state, MessageState::Reached(AckLevel::Sent));
    fixture.relink("15550000009").await;
    assert!(fixture.claim().await, "another account wakes the outbox");
    assert_eq!(fixture.dispatch().await, []);
    let last = fixture.all_of(ACCOUNT).await.remove(0);
    assert_eq!(last.message.state, failed(FailureReason::Uncertain), "a node had the message");
}

/// The queue of a session has a limit, and both quotas of the pace are kept.
pub async fn queue_and_pace_are_limited(
    store: Arc<impl OutboxTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let limits = OutboxLimits { queue: 4, ..OutboxLimits::default() };
    let fixture = OutboxFixture::with_limits(store, environment.clone(), limits).await;
    fixture.set(|settings| settings.rate_per_min = Some(2)).await;
    for n in 0..4 {
        let sent = fixture.accept(&format!("1555123100{n}"), &format!("m{n}")).await;
        assert_eq!(sent.queue_position, Some(n));
    }
    let full = fixture.try_accept(&request(ADA, "more"), None).await;
    let quota = match full {
        Err(Error::RateLimited { rate_quota, .. }) => (rate_quota.name, rate_quota.count),
        other => panic!("{other:?}"),
    };
    assert_eq!(quota, ("message_queue", 4));
    let first = fixture.dispatch().await;
    assert_eq!(texts(&first), ["m0", "m1"]);
    for message in &first {
        fixture.answer(message, None).await;
    }
    assert_eq!(fixture.dispatch().await, []);
    environment.advance(59 * SECOND);
    fixture.renew_lease().await;
    assert_eq!(fixture.dispatch().await, []);
    environment.advance(2 * SECOND);
    assert!(fixture.claim().await, "the quota allows more");
    assert_eq!(texts(&fixture.dispatch().await), ["m2", "m3"]);
}

/// A key belongs to one request of one organization, and finds its message.
pub async fn repeated_key_finds_the_message(
    store: Arc<impl OutboxTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = OutboxFixture::new(store, environment.clone()).await;
    let request = request(ADA, "one");
    let hash = environment.ulid().to_be_bytes();
    let key_hash = IdempotencyKeyHash([hash, hash].concat().try_into().expect("32 bytes"));
    let key = |n| Some(AcceptanceKey { key_hash, request: [n; 32] });
    let first = fixture.try_accept(&request, key(1)).await.expect("accepted");
    let again = fixture.try_accept(&request, key(1)).await.expect("accepted");
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(first.shown, again.shown);
    let other = fixture.try_accept(&request, key(2)).await;
    assert!(matches!(other, Err(Error::Conflict { .. })), "{other:?}");
    assert_eq!(fixture.all().await.len(), 1);
    let store = &fixture.inbound.store;
    let foreign = Caller::operator(OrganizationId::parse("other-organization").expect("an id"));
    let foreign = foreign.may(crate::caller::Capability::Send).expect("may send");
    let found = store.entry_by_key(&foreign, &key_hash).await.expect("the store is there");
    assert_eq!(found, None);
    let message = first.shown.message.id;
    for caller in fixture.inbound.callers_without_access() {
        let scope = caller.may(crate::caller::Capability::Send).expect("may send");
        let after = crate::message::message_id::MessageId(message.0 + 1);
        let before = store.waiting_before(&scope, fixture.id(), after).await;
        assert_eq!(before.expect("the store is there"), 0);
        let name = ChatNameText::Digits(ADA.to_owned());
        let name = store.chat_name(&scope, fixture.id(), ACCOUNT, &name).await;
        assert_eq!(name.expect("the store is there"), None);
    }
}

/// Digits of a caller lead to the chat of the account that WhatsApp names for them, also when the chat
/// exists before.
pub async fn digits_lead_to_the_chat_of_the_account(
    store: Arc<impl OutboxTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = OutboxFixture::new(store, environment.clone()).await;
    let inbound = &fixture.inbound;
    let person = both(phone("525512345678"), lid("77"));
    inbound.deliver_facts([inbound.text(person, "A1", "hello")]).await;
    let known = fixture.all().await[0].message.chat;
    fixture.control.set_down(true);
    environment.advance(40 * SECOND);
    let sent = fixture.accept("5215512345678", "answer").await;
    let unaddressed = sent.shown.chat.expect("a chat");
    assert_eq!((unaddressed.address(), unaddressed.id == known), (None, false));
    assert_eq!(fixture.dispatch().await, []);
    fixture.control.set_down(false);
    fixture.renew_lease().await;
    fixture.control.set_contact(ContactCheck {
        asked: "5215512345678".to_owned(),
        registered: true,
        jid: Some("525512345678@s.whatsapp.net".to_owned()),
        lid: Some("77@lid".to_owned()),
        business: false,
    });
    let handed = fixture.dispatch().await;
    assert_eq!(handed[0].to, "525512345678@s.whatsapp.net");
    assert_eq!(fixture.all().await[0].message.chat, known);
    let again = fixture.accept("5215512345678", "again").await;
    assert_eq!(again.shown.message.chat, known);
    assert_eq!(fixture.control.asked(), ["5215512345678"], "the answer is stored");
    // Digits without an account.
    fixture.control.set_down(true);
    environment.advance(40 * SECOND);
    fixture.accept("15559999999", "nobody").await;
    fixture.control.set_down(false);
    fixture.renew_lease().await;
    fixture.control.set_contact(ContactCheck {
        asked: "15559999999".to_owned(),
        registered: false,
        jid: None,
        lid: None,
        business: false,
    });
    fixture.dispatch().await;
    assert_eq!(fixture.all().await[0].message.state, failed(FailureReason::NotOnWhatsapp));
    let refused = fixture.try_accept(&request("15559999999", "x"), None).await;
    assert!(matches!(refused, Err(Error::Undeliverable(_))), "{refused:?}");
}

/// A refusal of first contacts pauses first contacts, and no answers.
pub async fn refused_first_contact_pauses_first_contacts(
    store: Arc<impl OutboxTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = OutboxFixture::new(store, environment.clone()).await;
    let inbound = &fixture.inbound;
    inbound.deliver_facts([inbound.text(alone(phone(BOB)), "B1", "hello")]).await;
    fixture.accept(ADA, "first").await;
    let handed = fixture.dispatch().await;
    fixture.answer(&handed[0], Some(463)).await;
    let shown = fixture.all().await;
    let retry_at = Some(environment.now().plus(Duration::from_secs(3600)));
    let failure = MessageFailure {
        code: Some(463),
        retry_at,
        ..MessageFailure::of(FailureReason::ReachoutLimited)
    };
    assert_eq!(shown[0].message.state, MessageState::Failed(failure));
    for to in ["15551230003", BOB] {
        fixture.accept(to, to).await;
    }
    assert_eq!(texts(&fixture.dispatch().await), [BOB]);
    environment.advance(Duration::from_secs(3601));
    fixture.renew_lease().await;
    assert!(fixture.claim().await, "the pause is over");
    let after = fixture.dispatch().await;
    assert!(texts(&after).contains(&"15551230003"), "{after:?}");
}

/// A session that reads by itself marks received messages as read, and none that it cannot read.
pub async fn received_messages_are_marked_as_read(
    store: Arc<impl OutboxTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = OutboxFixture::new(store, environment).await;
    let inbound = &fixture.inbound;
    let chat = || alone(phone(ADA));
    inbound.deliver_facts([inbound.text(chat(), "A1", "one")]).await;
    fixture.dispatch().await;
    assert_eq!(fixture.control.read(), []);
    fixture.set(|settings| settings.auto_read = true).await;
    let facts = [inbound.text(chat(), "A2", "two"), inbound.undecryptable(chat(), "A3")];
    inbound.deliver_facts(facts).await;
    assert!(fixture.claim().await, "a message wakes the outbox");
    fixture.dispatch().await;
    let read = fixture.control.read();
    assert_eq!((read.len(), &*read[0].chat), (1, "15551230001@s.whatsapp.net"));
    let mut ids = read[0].ids.clone();
    ids.sort_unstable();
    assert_eq!(ids, ["A1", "A2"]);
    let levels: Vec<_> =
        fixture.all().await.iter().map(|shown| shown.message.state.level_number()).collect();
    assert_eq!(levels, [2, 3, 3]);
    fixture.dispatch().await;
    assert_eq!(fixture.control.read().len(), 1);
}

/// An outbox is claimed once, and organizations take turns.
pub async fn outbox_claims_rotate_among_organizations(
    store: Arc<impl OutboxTestStore>,
    environment: Arc<TestEnvironment>,
) {
    // Earlier than what other suites left.
    let fixtures = [
        OutboxFixture::new(store.clone(), environment.clone()).await,
        OutboxFixture::new(store.clone(), environment.clone()).await,
    ];
    for fixture in &fixtures {
        fixture.accept(ADA, "one").await;
    }
    assert!(store.next_outbox_due().await.expect("a time") <= Some(environment.now()));
    assert!(store.oldest_waiting().await.expect("a time") <= Some(environment.now()));
    let claimed = [fixtures[0].claim().await, fixtures[1].claim().await];
    assert_eq!(claimed, [true, false], "the first claim took both");
    let due = fixtures[0].due();
    store.release_outbox(&due, environment.now()).await.expect("a release");
    assert!(fixtures[0].claim().await, "a claim that was given back is due at once");
    environment.advance(61 * SECOND);
    assert!(fixtures[1].claim().await, "a claim that is not settled becomes due again");
    fixtures[0].renew_lease().await;
    for message in fixtures[0].dispatch().await {
        fixtures[0].answer(&message, None).await;
    }
    store.release_outbox(&due, environment.now()).await.expect("a release");
    assert!(!fixtures[0].claim().await, "nothing waits");
}

/// Callers of another organization, and of other sessions, reach no message to send; for them, the
/// session does not exist.
pub async fn outbox_is_used_within_scope_only(
    store: Arc<impl OutboxTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = OutboxFixture::new(store.clone(), environment).await;
    let key = AcceptanceKey { key_hash: IdempotencyKeyHash([9; 32]), request: [1; 32] };
    let message = request(ADA, "mine");
    let sent = fixture.try_accept(&message, Some(key.clone())).await.expect("accepted");
    let (id, shown) = (fixture.id(), sent.shown.message);
    let digits = ChatNameText::Digits(ADA.to_owned());
    let named = store.chat_name(&fixture.inbound.scope(), id, ACCOUNT, &digits).await;
    assert!(named.expect("a read").is_some());
    for caller in fixture.inbound.callers_without_access() {
        let (session, key) = (id.as_str(), Some(key.clone()));
        let again =
            fixture.outbox.send(&caller, session, &message, SendMode::Async, key.clone()).await;
        assert!(matches!(again, Err(Error::NotFound { .. })), "{again:?}");
        let cancelled = fixture.outbox.cancel(&caller, session, shown.wa_id.as_str()).await;
        assert!(matches!(cancelled, Err(Error::NotFound { .. })), "{cancelled:?}");
        let read = fixture.outbox.read_chat(&caller, session, "1", None, false).await;
        assert!(matches!(read, Err(Error::NotFound { .. })), "{read:?}");
        let scope = caller.may(Capability::Read).expect("may read");
        assert_eq!(store.waiting_before(&scope, id, MessageId(9)).await.expect("a count"), 0);
        let named = store.chat_name(&scope, id, ACCOUNT, &digits).await;
        assert_eq!(named.expect("a read"), None);
    }
    let [other, _] = fixture.inbound.callers_without_access();
    let scope = other.may(Capability::Read).expect("may read");
    assert_eq!(store.entry_by_key(&scope, &key.key_hash).await.expect("a read"), None);
    let all = fixture.all().await;
    assert_eq!((all.len(), &all[0].message.state), (1, &shown.state));
}
