//! Suite of [`MessagingStore`](crate::ports::MessagingStore): changes of chats and levels by
//! deliveries of nodes.

use std::{sync::Arc, time::Duration};

use crate::{
    event::payload::EventPayload,
    message::{
        kind::MessageSource,
        state::{AckLevel, MessageState, MessageStatus},
    },
    messaging::journal::{ContactFact, JournalFact, ReceiptLevel, TimerFact},
    ports::environment::Environment as _,
    testing::{
        environment::TestEnvironment,
        messaging_fixture::{MessagingFixture, MessagingTestStore, alone, both, lid, phone},
    },
};

const PARTNER: &str = "15551230001";

/// One person is one chat, whichever address comes first. When the addresses become known as those
/// of one person, two chats become one at once; the ids of both lead to it.
pub async fn chats_of_one_person_become_one(
    store: Arc<impl MessagingTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store, environment).await;
    let (number, private) = (phone(PARTNER), lid("9900000001"));
    fixture
        .deliver_facts([
            fixture.text(alone(private.clone()), "L1", "by private number"),
            fixture.text(alone(number.clone()), "P1", "by phone number"),
            // The same message by both addresses is one message.
            fixture.text(alone(private.clone()), "P1", "by phone number"),
            fixture.text(alone(phone("15551230009")), "X1", "of somebody else"),
        ])
        .await;
    assert_eq!(fixture.newest(10).await.len(), 4, "two chats, one message in each twice");
    fixture.environment.advance(Duration::from_secs(60));
    fixture
        .deliver_facts([fixture.text(both(private.clone(), number.clone()), "B1", "by both")])
        .await;
    let session = fixture.id().as_str();
    for reference in ["1", "2", PARTNER, "9900000001@lid", "+15551230001"] {
        let shown = fixture.chats.view(&fixture.caller, session, reference).await.expect("a chat");
        assert_eq!(shown.chat.id.0, 1, "{reference}");
        assert_eq!(
            (shown.chat.phone.as_ref(), shown.chat.lid.as_ref()),
            (Some(&number), Some(&private))
        );
        assert_eq!((shown.chat.unread, shown.chat.last_message.map(|id| id.0)), (4, Some(5)));
        assert_eq!(shown.last_message.expect("a message").body(), Some("by both"));
    }
    let listed = fixture.newest(10).await;
    let in_chat: Vec<_> = listed.iter().filter(|shown| shown.message.chat.0 == 1).collect();
    let ids: Vec<_> = in_chat.iter().map(|shown| shown.message.wa_id.as_str()).collect();
    assert_eq!(ids, ["B1", "P1", "L1"], "of two copies one remains");
    let merge = |payload: &EventPayload| match payload {
        EventPayload::ChatUpdated { chat, merged, chat_phone, .. } => {
            Some((*chat, merged.0, chat_phone.clone()))
        }
        _ => None,
    };
    let payloads = fixture.payloads().await;
    let merges: Vec<_> = payloads.iter().filter_map(merge).collect();
    assert_eq!(merges, [(1, Some(2), Some(PARTNER.to_owned()))]);
    // Every later message of either address is in the chat, and a mapping changes nothing.
    let contact = ContactFact {
        phone: Some(number.clone()),
        lid: Some(private.clone()),
        name: Some("Anna of the office".to_owned()),
    };
    fixture
        .deliver_facts([
            JournalFact::Contacts(vec![contact]),
            fixture.text(alone(number), "P2", "later"),
            fixture.text(alone(private), "P2", "later"),
        ])
        .await;
    let shown = fixture.chats.view(&fixture.caller, session, "2").await.expect("a chat");
    assert_eq!(shown.chat.name(), Some("Anna of the office"));
    assert_eq!(shown.last_message.expect("a message").wa_id.as_str(), "P2");
    assert_eq!(fixture.newest(10).await.len(), 5);
}

/// Levels only rise, also when receipts overtake each other; each rise is reported once.
pub async fn receipts_raise_levels_only(
    store: Arc<impl MessagingTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store, environment).await;
    let chat = || alone(phone(PARTNER));
    fixture.deliver_facts([fixture.own_text(chat(), "OWN", "mine")]).await;
    for level in [AckLevel::Read, AckLevel::Delivered, AckLevel::Read, AckLevel::Played] {
        let receipt = fixture.receipt(chat(), "OWN", ReceiptLevel::Receiver(level));
        fixture.deliver_facts([receipt]).await;
    }
    let [shown] = fixture.newest(10).await.try_into().expect("one message");
    assert_eq!(shown.message.state, MessageState::Reached(AckLevel::Played));
    assert_eq!(shown.message.source, MessageSource::Phone);
    let step = |payload: &EventPayload| match payload {
        EventPayload::MessageStatusChanged { previous, status, .. } => Some((*previous, *status)),
        _ => None,
    };
    let steps: Vec<_> = fixture.payloads().await.iter().filter_map(step).collect();
    let expected =
        [(MessageStatus::Sent, MessageStatus::Read), (MessageStatus::Read, MessageStatus::Played)];
    assert_eq!(steps, expected);
}

/// Messages that the account reads on another device are no longer unread.
pub async fn reading_elsewhere_lowers_the_unread_count(
    store: Arc<impl MessagingTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store, environment).await;
    let chat = || alone(phone(PARTNER));
    let texts = ["A1", "A2", "A3"].map(|id| fixture.text(chat(), id, "text"));
    fixture.deliver_facts(texts).await;
    let unread = async || {
        let session = fixture.id().as_str();
        fixture.chats.view(&fixture.caller, session, PARTNER).await.expect("a chat").chat.unread
    };
    assert_eq!(unread().await, 3);
    let read = |id| fixture.receipt(chat(), id, ReceiptLevel::Account(AckLevel::Read));
    fixture.deliver_facts([read("A1"), read("A2"), read("A1")]).await;
    assert_eq!(unread().await, 1);
    let mut payloads = fixture.payloads().await;
    let last = payloads.pop();
    assert!(matches!(last, Some(EventPayload::ChatUpdated { unread: 1, .. })), "{last:?}");
}

/// The disappearing timer of a chat is remembered; an older change does not replace a newer one.
pub async fn newest_timer_of_a_chat_stays(
    store: Arc<impl MessagingTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store, environment).await;
    let now = fixture.environment.now();
    let timer = |seconds, earlier: u64| {
        let changed_at = now.minus(Duration::from_secs(earlier));
        JournalFact::Timer(TimerFact { chat: alone(phone(PARTNER)), seconds, changed_at })
    };
    fixture.deliver_facts([timer(60, 5), timer(90, 10), timer(0, 7)]).await;
    let session = fixture.id().as_str();
    let seconds = async || {
        let shown = fixture.chats.view(&fixture.caller, session, PARTNER).await.expect("a chat");
        shown.chat.timer.seconds
    };
    assert_eq!(seconds().await, 60);
    fixture.deliver_facts([timer(0, 1)]).await;
    assert_eq!(seconds().await, 0);
}
