//! Keys of sessions that the database does not know, as after an old copy of it was restored.

use std::sync::Arc;

use domain::{Caller, Desired, Error, EventName, Orphans, SessionId, Status, testing::World};

use crate::fixture::Stage;

/// A linked session's keys on a node, and a database that does not know it and has heard of it.
async fn orphan() -> (Stage, SessionId) {
    let forgotten = Stage::new().await;
    let id = forgotten.working().await;
    let stage = forgotten.with_empty_database().await;
    for _ in 0..2 {
        stage.heartbeat().await;
        stage.world.gateway.release(&id);
    }
    assert!(stage.world.gateway.held().contains(&id), "a linked device's keys stay");
    (stage, id)
}

fn orphans(stage: &Stage) -> Orphans {
    let (world, store) = (&stage.world, Arc::new(stage.world.memory.clone()));
    let environment = world.environment.clone();
    Orphans::new(store.clone(), store.clone(), store, environment, world.deadlines.clone())
}

fn acme() -> Caller {
    Caller::operator(World::acme().organization.unwrap())
}

async fn listed(stage: &Stage) -> Vec<SessionId> {
    let all = orphans(stage).list().await.unwrap();
    all.into_iter().map(|orphan| orphan.session).collect()
}

#[tokio::test]
async fn orphan_is_told_once_and_listed_while_it_is_held() {
    let stage = Stage::new().await;
    let (node, id) = (stage.node().await, SessionId::from_bits(1));
    let held = [domain::HeldSession { session: id.clone(), epoch: 7 }];
    let mut outcome_reported = Vec::new();
    for _ in 0..4 {
        let heartbeat =
            stage.world.nodes.heartbeat(&node.id, &node.incarnation, &held, None).await.unwrap();
        let domain::HeartbeatOutcome::Renewed { orphans, .. } = heartbeat else {
            panic!("{heartbeat:?}")
        };
        outcome_reported.push(orphans.len());
    }
    assert_eq!(outcome_reported, [0, 1, 0, 0]);
    assert_eq!(listed(&stage).await, [id]);
    stage.world.nodes.heartbeat(&node.id, &node.incarnation, &[], None).await.unwrap();
    assert!(listed(&stage).await.is_empty());
}

#[tokio::test]
async fn adopted_orphan_is_a_stopped_session_that_its_owner_can_start() {
    let (stage, id) = orphan().await;
    assert_eq!(listed(&stage).await, std::slice::from_ref(&id));
    orphans(&stage).adopt(&acme(), id.as_str()).await.unwrap();
    let again = orphans(&stage).adopt(&acme(), id.as_str()).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    stage.settle().await;
    let session = stage.view(&id).await;
    assert_eq!(
        (session.spec.desired, session.observed.status),
        (Desired::Stopped, Status::Stopped)
    );
    assert!(session.is_paired(), "the node said who is linked");
    assert!(listed(&stage).await.is_empty());
    let foreign = stage.world.sessions.view(&World::zeta(), id.as_str()).await;
    assert!(matches!(foreign, Err(Error::NotFound { .. })), "{foreign:?}");
    stage.world.sessions.start(&World::acme(), id.as_str()).await.unwrap();
    stage.settle().await;
    assert_eq!(stage.view(&id).await.observed.status, Status::Working);
}

#[tokio::test]
async fn unlinked_orphan_leaves_nothing_on_its_node_and_its_end_in_the_events() {
    let (stage, id) = orphan().await;
    orphans(&stage).unlink(&acme(), id.as_str()).await.unwrap();
    stage.settle().await;
    assert!(stage.world.gateway.held().is_empty());
    assert!(stage.world.memory.cleanups().is_empty());
    let events = stage.world.memory.events();
    let ended = events.iter().find(|event| event.name == EventName::SessionRetired).unwrap();
    assert_eq!(
        (ended.session.as_ref(), Some(&ended.organization)),
        (Some(&id), acme().organization.as_ref())
    );
    assert_eq!(ended.payload, [("unlink".into(), "confirmed".into())]);
}

#[tokio::test]
async fn what_is_no_orphan_is_neither_adopted_nor_unlinked() {
    let stage = Stage::new().await;
    let owned = stage.working().await;
    stage.heartbeat().await;
    for id in [owned.as_str(), SessionId::from_bits(1).as_str(), "x"] {
        let adopted = orphans(&stage).adopt(&acme(), id).await.map(drop);
        let unlinked = orphans(&stage).unlink(&acme(), id).await;
        for refused in [adopted, unlinked] {
            assert!(matches!(refused, Err(Error::NotFound { .. })), "{id}: {refused:?}");
        }
    }
}
