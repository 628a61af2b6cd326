//! Messages of working sessions are handed to their node.

use std::time::Duration;

use domain::{ChatReference, NewMessage, SendMode, SessionId, testing::World};
use worker::OutboxDispatcher;

use crate::fixture::Fixture;

fn dispatcher(fixture: &Fixture) -> OutboxDispatcher {
    let World { outbox, environment, notifier, .. } = fixture.world.clone();
    OutboxDispatcher::new(outbox, environment, notifier)
}

async fn accept(fixture: &Fixture, session: &SessionId, to: &str) {
    let message = NewMessage {
        to: ChatReference::Digits(to.to_owned()),
        text: to.to_owned(),
        expires_at: None,
        typing_millis: None,
        reference: None,
    };
    let outbox = &fixture.world.outbox;
    outbox.send(&World::acme(), session.as_str(), &message, SendMode::Async, None).await.unwrap();
}

#[tokio::test]
async fn round_hands_messages_of_all_due_sessions_over() {
    let fixture = Fixture::new().await;
    let sessions = [fixture.working().await, fixture.working().await];
    for session in &sessions {
        accept(&fixture, session, "15551230001").await;
        accept(&fixture, session, "15551230002").await;
    }
    let dispatcher = dispatcher(&fixture);
    assert_eq!(dispatcher.round().await.unwrap(), 2);
    let mut handed: Vec<_> = fixture.world.messaging.take_handed();
    handed.sort_by_key(|(session, message)| (session.clone(), message.text.clone()));
    let of = |(session, message): &(SessionId, domain::ports::OutboundMessage)| {
        (session.clone(), message.text.clone())
    };
    let mut expected = Vec::new();
    for session in &sessions {
        for to in ["15551230001", "15551230002"] {
            expected.push((session.clone(), to.to_owned()));
        }
    }
    expected.sort();
    assert_eq!(handed.iter().map(of).collect::<Vec<_>>(), expected);
    assert_eq!(dispatcher.round().await.unwrap(), 0, "the next step is in 15 s");
}

#[tokio::test]
async fn message_leaves_soon_after_the_node_was_unreachable() {
    let fixture = Fixture::new().await;
    let World { messaging, environment, .. } = fixture.world.clone();
    let session = fixture.working().await;
    accept(&fixture, &session, "15551230001").await;
    let dispatcher = dispatcher(&fixture);
    messaging.set_unreachable(true);
    assert_eq!(dispatcher.round().await.unwrap(), 1);
    messaging.set_unreachable(false);
    assert_eq!(dispatcher.round().await.unwrap(), 0);
    environment.advance(Duration::from_secs(2));
    assert_eq!(dispatcher.round().await.unwrap(), 1);
    assert_eq!(messaging.take_handed().len(), 1);

    // Without the result of this hand-over, the next attempt is a repetition, and stays one.
    messaging.set_unreachable(true);
    environment.advance(Duration::from_secs(15));
    assert_eq!(dispatcher.round().await.unwrap(), 1);
    messaging.set_unreachable(false);
    environment.advance(Duration::from_secs(2));
    assert_eq!(dispatcher.round().await.unwrap(), 0);
}

#[tokio::test]
async fn hand_over_without_an_answer_is_repeated_after_15_s() {
    let fixture = Fixture::new().await;
    let World { messaging, environment, .. } = fixture.world.clone();
    let session = fixture.working().await;
    accept(&fixture, &session, "15551230001").await;
    let dispatcher = dispatcher(&fixture);
    messaging.set_down(true);
    assert_eq!(dispatcher.round().await.unwrap(), 1);
    messaging.set_down(false);
    environment.advance(Duration::from_secs(14));
    assert_eq!(dispatcher.round().await.unwrap(), 0);
    environment.advance(Duration::from_secs(1));
    assert_eq!(dispatcher.round().await.unwrap(), 1);
    assert_eq!(messaging.take_handed().len(), 1);
}
