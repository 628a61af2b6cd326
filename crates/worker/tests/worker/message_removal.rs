//! Messages of deleted sessions and old messages are removed.

use std::{sync::Arc, time::Duration};

use domain::{
    ChatReference, MessageFilter, MessageQuery, MessageRetention, NewMessage, SendMode, SessionId,
    ShownMessage, ports::ErasureStore as _, testing::World,
};
use worker::MessageRemover;

use crate::fixture::Fixture;

/// Returns a session that has a message to send.
async fn with_message(fixture: &Fixture) -> SessionId {
    let session = fixture.working().await;
    let message = NewMessage {
        to: ChatReference::Digits("15551230001".to_owned()),
        text: "text".to_owned(),
        expires_at: None,
        typing_millis: None,
        reference: None,
    };
    let outbox = &fixture.world.outbox;
    outbox.send(&World::acme(), session.as_str(), &message, SendMode::Async, None).await.unwrap();
    session
}

async fn listed(fixture: &Fixture, session: &SessionId) -> Vec<ShownMessage> {
    let query = MessageQuery { filter: MessageFilter::default(), after: None, limit: 9 };
    fixture.world.messages.list(&World::acme(), session.as_str(), &query).await.unwrap()
}

#[tokio::test]
async fn rounds_remove_messages_of_deleted_sessions_and_old_messages() {
    let fixture = Fixture::new().await;
    let (deleted, other) = (with_message(&fixture).await, with_message(&fixture).await);
    let World { memory, environment, notifier, sessions, outbox, .. } = fixture.world.clone();
    let retention = MessageRetention::new(Arc::new(memory.clone()), environment.clone(), notifier);
    let mut remover = MessageRemover::new(retention, environment.clone());
    assert!(!remover.round().await.unwrap());

    let acme = World::acme();
    let organization = acme.organization.clone().unwrap();
    sessions.delete(&acme, deleted.as_str(), None).await.unwrap();
    let before = memory.unfinished_deletions(&organization).await.unwrap();
    while remover.round().await.unwrap() {}
    assert_eq!(memory.unfinished_deletions(&organization).await.unwrap(), before - 1);

    let left = listed(&fixture, &other).await;
    assert_eq!(left.len(), 1);
    let wa_id = left[0].message.wa_id.to_string();
    outbox.cancel(&acme, other.as_str(), &wa_id).await.unwrap();
    environment.advance(Duration::from_secs(91 * 24 * 60 * 60));
    assert!(!remover.round().await.unwrap());
    assert_eq!(listed(&fixture, &other).await, [], "the message is older than 90 days");
}
