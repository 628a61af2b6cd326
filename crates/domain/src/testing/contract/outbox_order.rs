//! Suite of [`OutboxStore`](crate::ports::OutboxStore): the order in which messages leave.

use std::{sync::Arc, time::Duration};

use crate::{
    message::state::{FailureReason, MessageFailure, MessageState},
    testing::{
        environment::TestEnvironment,
        messaging_fixture::{alone, phone},
        outbox_fixture::{OutboxFixture, OutboxTestStore, texts},
    },
};

const ADA: &str = "15551230001";
const BOB: &str = "15551230002";
const SECOND: Duration = Duration::from_secs(1);

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

/// The first messages of a chat whose partner has written leave together, and the next ones when all
/// of them have ended.
pub async fn messages_of_an_answered_chat_leave_in_groups(
    store: Arc<impl OutboxTestStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = OutboxFixture::new(store, environment.clone()).await;
    fixture
        .inbound
        .deliver_facts([fixture.inbound.text(alone(phone(ADA)), "HELLO", "hello")])
        .await;
    let all: Vec<_> = (1..=10).map(|number| number.to_string()).collect();
    for text in &all {
        fixture.accept(ADA, text).await;
    }
    fixture.accept(BOB, "other").await;
    let handed = fixture.dispatch().await;
    let first: Vec<_> = all[..8].iter().map(String::as_str).chain(["other"]).collect();
    assert_eq!(texts(&handed), first);
    for message in &handed[..7] {
        fixture.answer(message, None).await;
    }
    assert_eq!(fixture.dispatch().await, []);
    environment.advance(15 * SECOND);
    fixture.renew_lease().await;
    assert_eq!(texts(&fixture.dispatch().await), ["8", "other"], "the hand-over is repeated");
    fixture.answer(&handed[7], None).await;
    assert_eq!(texts(&fixture.dispatch().await), ["9", "10"]);
}
