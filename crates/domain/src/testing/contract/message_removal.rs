//! Suite of [`MessageRemovalStore`](crate::ports::MessageRemovalStore).

use std::{sync::Arc, time::Duration};

use crate::{
    event::payload::EventPayload,
    id::EventId,
    messaging::removal::{MessageExpiry, MessageRemoval},
    ports::{
        environment::Environment as _,
        store::{message_removal::MessageRemovalStore, written::Written},
    },
    testing::{
        environment::TestEnvironment,
        messaging_fixture::{MessagingFixture, MessagingTestStore, alone, phone},
        writes::{cleanup_of, delete_session},
    },
    time::Timestamp,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// After the delete of a session, all rows of its messages are removed in small steps, and one event
/// with the number of messages follows. The messages of other sessions stay.
pub async fn messages_of_a_deleted_session_are_removed(
    store: Arc<impl MessagingTestStore + MessageRemovalStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store.clone(), environment.clone()).await;
    let other = MessagingFixture::new(store.clone(), environment.clone()).await;
    for fixture in [&fixture, &other] {
        for (number, partner) in ["15551230001", "15551230002", "15551230001"].iter().enumerate() {
            let text = fixture.text(alone(phone(partner)), &format!("A{number}"), "text");
            fixture.deliver_facts([text]).await;
        }
    }
    let removal = MessageRemoval {
        organization: fixture.session.organization.clone(),
        session: fixture.id().clone(),
    };
    let now = environment.now();
    let until = now.plus(Duration::from_secs(30));
    let claim = async |now: Timestamp| {
        let claimed = store.claim_message_removals(now, until, 100_000).await.expect("a claim");
        claimed.into_iter().filter(|claimed| claimed.session == removal.session).count()
    };
    assert_eq!(claim(now).await, 0, "the session exists");
    let event = || EventId::from_bits(environment.ulid());
    assert!(!store.finish_message_removal(&removal, event(), now).await.expect("no removal"));

    let scope = fixture.scope();
    let cleanup = cleanup_of(&fixture.session, &scope, now);
    let deleted = delete_session(&*store, &scope, fixture.session.version, &cleanup, &[]).await;
    assert_eq!(deleted.expect("a delete"), Ok(Written::Done));
    assert_eq!((claim(now).await, claim(now).await), (1, 0));
    assert_eq!(claim(until).await, 1, "after a crash of the claimer");
    let mut removed = Vec::new();
    loop {
        let step = store.remove_messages(&removal, now, 4).await.expect("a step");
        removed.push(step);
        if step == 0 {
            break;
        }
    }
    // Three events, three messages, two chats with a name each.
    assert_eq!(removed, [4, 4, 2, 0]);
    assert_eq!(fixture.events().await, []);
    assert_eq!(claim(now).await, 1, "a step makes the removal due again");

    assert!(store.finish_message_removal(&removal, event(), now).await.expect("finished"));
    assert!(!store.finish_message_removal(&removal, event(), now).await.expect("no removal"));
    assert_eq!(claim(until).await, 0);
    let events = fixture.events().await;
    let told: Vec<_> = events.iter().map(|event| (event.sequence, &event.payload)).collect();
    assert_eq!(told, [(4, &EventPayload::SessionMessagesDeleted { removed: 3 })]);
    assert_eq!((other.newest(10).await.len(), other.events().await.len()), (3, 3));
}

/// Old messages lose what the settings of their session no longer allow, oldest first; newer ones and
/// those of other sessions stay.
pub async fn old_messages_expire_by_the_settings(
    store: Arc<impl MessagingTestStore + MessageRemovalStore>,
    environment: Arc<TestEnvironment>,
) {
    let fixture = MessagingFixture::new(store.clone(), environment.clone()).await;
    let other = MessagingFixture::new(store.clone(), environment.clone()).await;
    let chat = || alone(phone("15551230001"));
    for fixture in [&fixture, &other] {
        fixture.deliver_facts([fixture.text(chat(), "A1", "one")]).await;
        fixture.deliver_facts([fixture.text(chat(), "A2", "two")]).await;
    }
    let first = environment.now();
    environment.advance(2 * DAY);
    fixture.deliver_facts([fixture.text(chat(), "A3", "three")]).await;
    let (organization, session) = (&fixture.session.organization, fixture.id());
    let ages = async || {
        let mut after = None;
        loop {
            let page = store.message_ages(after, 2).await.expect("a page");
            let found = page.iter().find(|ages| ages.session == *session);
            if let Some(ages) = found {
                return (ages.oldest, ages.oldest_body, ages.oldest_content);
            }
            let last = page.last().expect("the session is in a page");
            after = Some((last.organization.clone(), last.session.clone()));
        }
    };
    let now = environment.now();
    assert_eq!(ages().await, (Some(first), Some(first), Some(first)));
    let before = now.minus(DAY);
    let expire = async |expiry, limit| {
        store.expire_messages(organization, session, expiry, before, limit).await.expect("expired")
    };
    let bodies = async |fixture: &MessagingFixture<_>| {
        let newest = fixture.newest(10).await;
        let body = |message: &crate::message::model::Message| message.body().map(str::to_owned);
        newest.iter().map(|shown| body(&shown.message)).collect::<Vec<_>>()
    };
    let some = |text: &str| Some(text.to_owned());

    assert_eq!(expire(MessageExpiry::Bodies, 1).await, 1);
    assert_eq!(bodies(&fixture).await, [some("three"), some("two"), None]);
    assert_eq!(expire(MessageExpiry::Bodies, 10).await, 1);
    assert_eq!(expire(MessageExpiry::Bodies, 10).await, 0);
    assert_eq!(bodies(&fixture).await, [some("three"), None, None]);
    assert_eq!(ages().await, (Some(first), Some(now), Some(first)));
    assert_eq!(expire(MessageExpiry::Contents, 10).await, 2);
    assert_eq!(ages().await, (Some(first), Some(now), Some(now)));
    assert_eq!(expire(MessageExpiry::Messages, 1).await, 1);
    assert_eq!(expire(MessageExpiry::Messages, 10).await, 1);
    assert_eq!(bodies(&fixture).await, [some("three")]);
    assert_eq!(ages().await, (Some(now), Some(now), Some(now)));
    assert_eq!(bodies(&other).await, [some("two"), some("one")]);
}
