//! What is left of deleted sessions goes, whatever fails on the way.

use domain::{Error, EventName, EventValue, Status, testing::World};

use crate::fixture::Stage;

/// How each retirement ended, oldest first.
fn outcomes(stage: &Stage) -> Vec<String> {
    let events = stage.world.memory.events().into_iter();
    let retired = events.filter(|event| event.name == EventName::SessionRetired);
    let outcome = |event: domain::Event| match event.payload.into_iter().next() {
        Some((_, EventValue::Text(outcome))) => outcome,
        other => panic!("{other:?}"),
    };
    retired.map(outcome).collect()
}

#[tokio::test]
async fn a_deleted_session_is_unlinked_and_forgotten() {
    let stage = Stage::new().await;
    let (sessions, acme) = (&stage.world.sessions, World::acme());
    let id = stage.working().await;
    sessions.delete(&acme, id.as_str(), None).await.unwrap();
    let gone = sessions.view(&acme, id.as_str()).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })), "gone before WhatsApp is asked");
    let again = sessions.delete(&acme, id.as_str(), None).await;
    assert!(matches!(again, Err(Error::NotFound { .. })));
    stage.settle().await;
    assert_eq!(outcomes(&stage), ["confirmed"]);
    assert!(stage.world.gateway.held().is_empty());
    assert!(stage.world.memory.cleanups().is_empty());
}

#[tokio::test]
async fn without_whatsapp_s_word_the_keys_go_at_the_deadline() {
    let stage = Stage::new().await;
    let id = stage.working().await;
    stage.world.gateway.set_mute(true);
    stage.world.sessions.delete(&World::acme(), id.as_str(), None).await.unwrap();
    stage.pass(3500, true).await;
    assert_eq!(stage.world.gateway.held(), [id], "until then the keys are kept to try again");
    assert!(outcomes(&stage).is_empty());
    stage.pass(200, true).await;
    assert_eq!(outcomes(&stage), ["unconfirmed"]);
    assert!(stage.world.gateway.held().is_empty());
    assert!(stage.world.memory.cleanups().is_empty());
}

#[tokio::test]
async fn a_node_that_is_away_is_waited_for() {
    let stage = Stage::new().await;
    let id = stage.working().await;
    stage.world.gateway.set_down(true);
    stage.world.sessions.delete(&World::acme(), id.as_str(), None).await.unwrap();
    stage.pass(3700, false).await;
    assert_eq!(outcomes(&stage), ["unconfirmed"], "told at the deadline");
    assert_eq!(stage.world.memory.cleanups().len(), 1, "the keys are still to be wiped");
    stage.world.gateway.set_down(false);
    stage.settle().await;
    assert!(stage.world.gateway.held().is_empty());
    assert_eq!(outcomes(&stage), ["unconfirmed"], "told once");
}

#[tokio::test]
async fn a_session_that_never_had_a_node_is_retired_at_once() {
    let stage = Stage::new().await;
    let session = stage.world.acme_session().await;
    stage.world.sessions.delete(&World::acme(), session.id.as_str(), None).await.unwrap();
    stage.settle().await;
    assert_eq!(outcomes(&stage), ["not_linked"]);
    assert!(stage.world.gateway.calls().is_empty());
}

#[tokio::test]
async fn a_logout_outlives_the_request_that_asked_for_it() {
    let stage = Stage::new().await;
    let id = stage.working().await;
    stage.world.gateway.set_mute(true);
    let waiting = stage.world.sessions.logout(&World::acme(), id.as_str()).await.unwrap();
    assert!(waiting.spec.unlink.is_some(), "not confirmed within the request");
    assert!(waiting.is_paired(), "so it says what is true");
    let start = stage.world.sessions.start(&World::acme(), id.as_str()).await;
    assert!(matches!(start, Err(Error::Conflict { retry_after: Some(_), .. })));
    stage.world.gateway.set_mute(false);
    stage.pass(40, true).await;
    let out = stage.view(&id).await;
    assert_eq!((out.observed.status, out.is_paired()), (Status::Stopped, false));
}
