//! Suite of [`MessagingStore`](crate::ports::MessagingStore): deliveries of nodes.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    event::payload::EventPayload,
    id::{GatewayId, SessionId, WaMessageId},
    message::{
        details::MediaInfo,
        kind::MessageKind,
        model::MessageSender,
        service::MessageNarrowing,
        state::{AckLevel, MessageState, MessageStatus},
    },
    messaging::journal::{JournalDelivery, JournalFact, ReceiptLevel},
    ports::environment::Environment as _,
    testing::{
        contract::fixtures::stored_events,
        environment::TestEnvironment,
        messaging_fixture::{
            ACCOUNT, JOURNAL, MessagingFixture, MessagingTestStore, alone, node, phone,
        },
        writes::{cleanup_of, delete_session},
    },
};

const PARTNER: &str = "15551230001";

fn bodies(events: &[EventPayload]) -> Vec<Option<&str>> {
    events
        .iter()
        .filter_map(|payload| match payload {
            EventPayload::Message { body, .. } => Some(body.as_deref()),
            _ => None,
        })
        .collect()
}

/// A message is stored once and reported once: a known sequence number of the same journal is
/// skipped, and a known message under another number or journal is recognized.
pub async fn delivered_message_is_stored_once(
    store: Arc<impl MessagingTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store, environment).await;
    let chat = || alone(phone(PARTNER));
    let first = fixture.item(fixture.text(chat(), "A1", "one"));
    let second = fixture.item(fixture.text(chat(), "A2", "two"));
    let taken = fixture.deliver(vec![first.clone()]).await;
    assert_eq!(taken.through, [(fixture.id().clone(), 1)].into());
    let taken = fixture.deliver(vec![first.clone(), second.clone()]).await;
    assert_eq!((taken.through, taken.gone), ([(fixture.id().clone(), 2)].into(), [].into()));
    let taken = fixture.deliver(vec![first.clone()]).await;
    assert_eq!(taken.through, [(fixture.id().clone(), 2)].into(), "all is stored through 2");

    fixture.deliver_facts([first.fact.clone(), fixture.text(chat(), "A3", "three")]).await;
    let delivery = JournalDelivery { session: fixture.id().clone(), items: vec![first, second] };
    let taken = fixture.journals.take(&node(), "another", vec![delivery]).await.expect("taken");
    assert_eq!(taken.through, [(fixture.id().clone(), 2)].into(), "numbers of another journal");

    let listed = fixture.newest(10).await;
    let shown: Vec<_> = listed.iter().map(|shown| shown.message.body()).collect();
    assert_eq!(shown, [Some("three"), Some("two"), Some("one")]);
    let payloads = fixture.payloads().await;
    assert_eq!(bodies(&payloads), [Some("one"), Some("two"), Some("three")]);
    assert_eq!(payloads.len(), 3);
    let message = &listed[2].message;
    assert_eq!((message.id.0, message.wa_id.as_str()), (1, "A1"));
    assert_eq!(
        (&message.sender, message.sender_name.as_deref()),
        (&MessageSender::Partner, Some("Anna"))
    );
    assert_eq!(message.state, MessageState::Reached(AckLevel::Delivered));
    let shown = listed[2].sender_addresses();
    assert_eq!(shown, [phone(PARTNER)]);
    assert_eq!(listed[0].account, ACCOUNT);
}

/// Messages change no session: neither its version nor any other part of its row, and none of its
/// own events.
pub async fn deliveries_leave_the_session_unchanged(
    store: Arc<impl MessagingTestStore + crate::ports::EventLog>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store, environment).await;
    let (scope, id) = (fixture.scope(), fixture.id().clone());
    let before = fixture.store.find(&scope, &id).await.expect("a session");
    let events = stored_events(&*fixture.store, &scope).await;
    for n in 0..3 {
        let chat = alone(phone(PARTNER));
        fixture.deliver_facts([fixture.text(chat, &format!("A{n}"), "text")]).await;
    }
    assert_eq!(fixture.store.find(&scope, &id).await.expect("a session"), before);
    assert_eq!(stored_events(&*fixture.store, &scope).await, events);
    let row = fixture.store.session_messaging(&scope, &id).await.expect("a row").expect("a row");
    assert_eq!((row.version.0, row.sequence, row.last_message, row.last_chat), (3, 3, 3, 1));
    assert_eq!(row.account.as_deref(), Some(ACCOUNT));
}

/// An id at WhatsApp is unique within a chat and a sender only: a partner that uses an existing id
/// neither changes nor hides the message of another sender.
pub async fn existing_id_of_another_sender_changes_no_message(
    store: Arc<impl MessagingTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store, environment).await;
    let (chat, other) = (|| alone(phone(PARTNER)), || alone(phone("15551230002")));
    fixture
        .deliver_facts([
            fixture.own_text(chat(), "SAME", "of the account"),
            fixture.text(chat(), "SAME", "of the partner"),
            fixture.text(other(), "SAME", "of another partner"),
            fixture.text(chat(), "SAME", "again"),
        ])
        .await;
    let mut shown: Vec<_> = fixture
        .newest(10)
        .await
        .into_iter()
        .map(|shown| (shown.message.chat.0, shown.message.sender, shown.message.details))
        .map(|(chat, sender, details)| (chat, sender, details.and_then(|details| details.body)))
        .collect();
    shown.sort();
    let text = |text: &str| Some(text.to_owned());
    let expected = [
        (1, MessageSender::Account, text("of the account")),
        (1, MessageSender::Partner, text("of the partner")),
        (2, MessageSender::Partner, text("of another partner")),
    ];
    assert_eq!(shown, expected);
    // The message of the account comes first, and a narrowing selects another one.
    let view = async |chat: Option<&str>, sender: Option<&str>| {
        let narrowing = MessageNarrowing {
            chat: chat.map(ToOwned::to_owned),
            sender: sender.map(ToOwned::to_owned),
        };
        let session = fixture.id().as_str();
        let found = fixture.messages.view(&fixture.caller, session, "SAME", &narrowing).await;
        found.ok().and_then(|shown| shown.message.body().map(ToOwned::to_owned))
    };
    assert_eq!(view(None, None).await, text("of the account"));
    assert_eq!(view(Some(PARTNER), Some(PARTNER)).await, text("of the partner"));
    assert_eq!(view(Some("2"), None).await, text("of another partner"));
    assert_eq!(view(None, Some("15551230002@s.whatsapp.net")).await, text("of another partner"));
    assert_eq!(view(Some("2"), Some(ACCOUNT)).await, None);
    // A receipt for the id raises the message of the account alone, in its chat.
    let read = ReceiptLevel::Receiver(AckLevel::Read);
    fixture.deliver_facts([fixture.receipt(chat(), "SAME", read)]).await;
    let levels: BTreeSet<_> = fixture
        .newest(10)
        .await
        .into_iter()
        .map(|shown| (shown.message.sender, shown.message.state.status()))
        .collect();
    let expected = [
        (MessageSender::Account, MessageStatus::Read),
        (MessageSender::Partner, MessageStatus::Delivered),
    ];
    assert_eq!(levels, expected.into());
}

/// A message that cannot be decrypted is reported, and reported again with its content when the
/// content arrives. Later deliveries change nothing.
pub async fn undecryptable_message_is_recovered_once(
    store: Arc<impl MessagingTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store, environment).await;
    let chat = || alone(phone(PARTNER));
    fixture.deliver_facts([fixture.undecryptable(chat(), "U1")]).await;
    let [shown] = fixture.newest(10).await.try_into().expect("one message");
    assert!(shown.message.flags.undecryptable && shown.message.details.is_none());
    fixture
        .deliver_facts([
            fixture.undecryptable(chat(), "U1"),
            fixture.text(chat(), "U1", "readable"),
            fixture.text(chat(), "U1", "other text"),
            fixture.undecryptable(chat(), "U1"),
        ])
        .await;
    let [shown] = fixture.newest(10).await.try_into().expect("one message");
    assert!(!shown.message.flags.undecryptable);
    assert_eq!((shown.message.kind, shown.message.body()), (MessageKind::Text, Some("readable")));
    let payloads = fixture.payloads().await;
    assert!(matches!(payloads[0], EventPayload::MessageUndecryptable { .. }));
    let recovered = |payload: &EventPayload| match payload {
        EventPayload::Message { body, recovered, .. } => Some((body.clone(), *recovered)),
        _ => None,
    };
    assert_eq!(recovered(&payloads[1]), Some((Some("readable".to_owned()), true)));
    assert_eq!(payloads.len(), 2);
}

/// Kinds of later versions lose nothing: files are described, and add-ons are stored and not listed.
pub async fn every_kind_of_message_is_stored(
    store: Arc<impl MessagingTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store, environment).await;
    let chat = || alone(phone(PARTNER));
    let with = |kind, id: &str, media: Option<MediaInfo>| {
        let JournalFact::Message(mut message) = fixture.text(chat(), id, "caption 🧾\u{0}")
        else {
            unreachable!("a message")
        };
        (message.kind, message.details.media) = (kind, media);
        message.content = Some(vec![0, 255, 7]);
        JournalFact::Message(message)
    };
    let media = MediaInfo {
        mime_type: Some("image/jpeg".to_owned()),
        size: Some(7),
        sha256: Some("00ff".to_owned()),
        file_name: Some("a.jpg".to_owned()),
        ..MediaInfo::default()
    };
    fixture
        .deliver_facts([
            with(MessageKind::Image, "I1", Some(media.clone())),
            with(MessageKind::Reaction, "R1", None),
            with(MessageKind::Edit, "E1", None),
            with(MessageKind::Revoke, "V1", None),
            with(MessageKind::Vote, "W1", None),
            with(MessageKind::Poll, "P1", None),
        ])
        .await;
    let listed = fixture.newest(10).await;
    let kinds: Vec<_> = listed.iter().map(|shown| shown.message.kind).collect();
    assert_eq!(kinds, [MessageKind::Poll, MessageKind::Image]);
    let details = listed[1].message.details.as_ref().expect("details");
    assert_eq!(
        (details.body.as_deref(), details.media.as_ref()),
        (Some("caption 🧾\u{0}"), Some(&media))
    );
    let payloads = fixture.payloads().await;
    assert_eq!(payloads.len(), 2, "add-ons are not reported");
    let EventPayload::Message { has_media, media: shown, body, removed, .. } = &payloads[0] else {
        panic!("{payloads:?}")
    };
    assert_eq!((*has_media, *removed, body.as_deref()), (true, false, Some("caption 🧾\u{0}")));
    let shown = shown.as_ref().expect("a description");
    assert_eq!((shown.available, shown.file_name.as_deref()), (false, Some("a.jpg")));
    let row = fixture.store.session_messaging(&fixture.scope(), fixture.id()).await;
    assert_eq!(row.expect("a row").expect("a row").last_message, 6);
    let session = fixture.id().as_str();
    let shown = fixture.chats.view(&fixture.caller, session, PARTNER).await.expect("a chat");
    assert_eq!((shown.chat.unread, shown.chat.last_message.map(|id| id.0)), (2, Some(6)));
}

/// Deliveries for many sessions are stored in one call. Items of a deleted session and of a session
/// of another node are dropped, without an effect on the others.
pub async fn deliveries_of_other_sessions_are_stored_or_dropped(
    store: Arc<impl MessagingTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let mut fixtures = Vec::new();
    for _ in 0..4 {
        fixtures.push(MessagingFixture::new(store.clone(), environment.clone()).await);
    }
    let deleted = &fixtures[1];
    let scope = deleted.caller.may(crate::caller::Capability::Manage).expect("may manage");
    let cleanup = cleanup_of(&deleted.session, &scope, environment.now());
    let written = delete_session(&*store, &scope, deleted.session.version, &cleanup, &[]).await;
    assert_eq!(written.expect("a delete"), Ok(crate::ports::Written::Done));
    let unknown = SessionId::from_bits(environment.ulid());
    let mut deliveries: Vec<_> = fixtures
        .iter()
        .map(|fixture| {
            let fact = fixture.text(alone(phone(PARTNER)), "A1", "text");
            JournalDelivery { session: fixture.id().clone(), items: vec![fixture.item(fact)] }
        })
        .collect();
    deliveries.push(JournalDelivery { session: unknown.clone(), ..deliveries[0].clone() });
    let journals = &fixtures[0].journals;
    let other_node = GatewayId::parse("gw-other").expect("a node");
    let taken = journals.take(&other_node, JOURNAL, deliveries.clone()).await.expect("taken");
    assert_eq!(taken.gone.len(), 5, "the sessions belong to another node");
    let taken = journals.take(&node(), JOURNAL, deliveries).await.expect("taken");
    assert_eq!(taken.gone, [deleted.id().clone(), unknown].into());
    let stored = [0, 2, 3].map(|n| (fixtures[n].id().clone(), 1));
    assert_eq!(taken.through, stored.into());
    for (n, fixture) in fixtures.iter().enumerate() {
        let listed = if n == 1 { Vec::new() } else { fixture.newest(9).await };
        assert_eq!(listed.len(), usize::from(n != 1));
    }
}

/// A delivery that another change of the messages overtakes is decided anew; every message gets a
/// number of its own.
pub async fn concurrent_deliveries_are_all_stored(
    store: Arc<impl MessagingTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store, environment).await;
    let mut each = Vec::new();
    for n in 0..5 {
        let facts = (0..4).map(|m| {
            let chat = alone(phone(&format!("1555000000{m}")));
            fixture.item(fixture.text(chat, &format!("A{n}-{m}"), "text"))
        });
        let delivery =
            JournalDelivery { session: fixture.id().clone(), items: facts.collect::<Vec<_>>() };
        let (journals, file) = (fixture.journals.clone(), format!("journal-{n}"));
        each.push(async move { journals.take(&node(), &file, vec![delivery]).await });
    }
    for taken in join_all(each).await {
        assert_eq!(taken.expect("taken").through.len(), 1);
    }
    let listed = fixture.newest(100).await;
    let ids: BTreeSet<_> = listed.iter().map(|shown| shown.message.id.0).collect();
    assert_eq!((listed.len(), ids), (20, (1..=20).collect()));
    let wa_ids: BTreeSet<WaMessageId> =
        listed.into_iter().map(|shown| shown.message.wa_id).collect();
    assert_eq!(wa_ids.len(), 20);
    assert_eq!(fixture.payloads().await.len(), 20);
}

/// Polls the futures in turn until all are ready.
async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    use std::task::Poll;
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(move |context| {
        for (future, output) in &mut running {
            if output.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if running.iter().any(|(_, output)| output.is_none()) {
            return Poll::Pending;
        }
        Poll::Ready(running.iter_mut().filter_map(|(_, output)| output.take()).collect())
    })
    .await
}
