//! Cleanup of deleted sessions, with and without faults.

use domain::{Error, EventPayload, Status, testing::World};

use crate::fixture::Fixture;

/// Returns the outcome of each finished cleanup, oldest first.
fn outcomes(fixture: &Fixture) -> Vec<&'static str> {
    let outcome = |event: domain::Event| match event.payload {
        EventPayload::SessionRetired { unlink } => Some(unlink.as_str()),
        _ => None,
    };
    fixture.world.memory.events().into_iter().filter_map(outcome).collect()
}

#[tokio::test]
async fn deleted_session_is_unlinked_and_its_keys_are_wiped() {
    let fixture = Fixture::new().await;
    let (sessions, acme) = (&fixture.world.sessions, World::acme());
    let id = fixture.working().await;
    sessions.delete(&acme, id.as_str(), None).await.unwrap();
    let gone = sessions.view(&acme, id.as_str()).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })), "gone before WhatsApp is asked");
    let again = sessions.delete(&acme, id.as_str(), None).await;
    assert!(matches!(again, Err(Error::NotFound { .. })));
    fixture.settle().await;
    assert_eq!(outcomes(&fixture), ["confirmed"]);
    assert!(fixture.world.gateway.held().is_empty());
    assert!(fixture.world.memory.cleanups().is_empty());
}

#[tokio::test]
async fn keys_are_wiped_at_the_deadline_without_confirmation() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    fixture.world.gateway.set_mute(true);
    fixture.world.sessions.delete(&World::acme(), id.as_str(), None).await.unwrap();
    fixture.pass(3500, true).await;
    assert_eq!(
        fixture.world.gateway.held(),
        [id],
        "the node keeps the keys for retries until the deadline"
    );
    assert!(outcomes(&fixture).is_empty());
    fixture.pass(200, true).await;
    assert_eq!(outcomes(&fixture), ["unconfirmed"]);
    assert!(fixture.world.gateway.held().is_empty());
    assert!(fixture.world.memory.cleanups().is_empty());
}

#[tokio::test]
async fn cleanup_waits_for_an_unreachable_node() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    fixture.world.gateway.set_down(true);
    fixture.world.sessions.delete(&World::acme(), id.as_str(), None).await.unwrap();
    fixture.pass(3700, false).await;
    assert_eq!(outcomes(&fixture), ["unconfirmed"], "the outcome is reported at the deadline");
    assert_eq!(fixture.world.memory.cleanups().len(), 1, "the keys are still to be wiped");
    fixture.world.gateway.set_down(false);
    fixture.settle().await;
    assert!(fixture.world.gateway.held().is_empty());
    assert_eq!(outcomes(&fixture), ["unconfirmed"], "the outcome is reported once");
}

#[tokio::test]
async fn session_without_a_node_is_cleaned_up_at_once() {
    let fixture = Fixture::new().await;
    let session = fixture.world.acme_session().await;
    fixture.world.sessions.delete(&World::acme(), session.id.as_str(), None).await.unwrap();
    fixture.settle().await;
    assert_eq!(outcomes(&fixture), ["not_linked"]);
    assert!(fixture.world.gateway.calls().is_empty());
}

#[tokio::test]
async fn logout_continues_after_its_request() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    fixture.world.gateway.set_mute(true);
    let waiting = fixture.world.sessions.logout(&World::acme(), id.as_str(), None).await.unwrap();
    assert!(waiting.spec.unlink.is_some(), "not confirmed within the request");
    assert!(waiting.is_paired(), "the device is still linked");
    let start = fixture.world.sessions.start(&World::acme(), id.as_str(), None).await;
    assert!(matches!(start, Err(Error::Conflict { retry_after: Some(_), .. })));
    fixture.world.gateway.set_mute(false);
    fixture.pass(40, true).await;
    let out = fixture.view(&id).await;
    assert_eq!((out.observed.status, out.is_paired()), (Status::Stopped, false));
}
