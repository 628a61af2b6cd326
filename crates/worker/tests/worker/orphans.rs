//! Orphans: keys of sessions that the database does not contain, for example after the restore of
//! an old copy.

use std::sync::Arc;

use domain::{
    Caller, Desired, Error, EventName, EventPayload, LogoutOutcome, Orphans, SessionId, Status,
    testing::World,
};

use crate::fixture::Fixture;

/// Returns a node with the keys of a linked session, and a database that has recorded the orphan.
async fn orphan() -> (Fixture, SessionId) {
    let before_restore = Fixture::new().await;
    let id = before_restore.working().await;
    let fixture = before_restore.with_empty_database().await;
    for _ in 0..2 {
        fixture.heartbeat().await;
        fixture.world.gateway.release(&id);
    }
    assert!(fixture.world.gateway.held().contains(&id), "a linked device's keys stay");
    (fixture, id)
}

fn orphans(fixture: &Fixture) -> Orphans {
    let (world, store) = (&fixture.world, Arc::new(fixture.world.memory.clone()));
    let environment = world.environment.clone();
    Orphans::new(store.clone(), store.clone(), store, environment, world.deadlines.clone())
}

fn acme() -> Caller {
    Caller::operator(World::acme().organization.unwrap())
}

async fn listed(fixture: &Fixture) -> Vec<SessionId> {
    let all = orphans(fixture).list().await.unwrap();
    all.into_iter().map(|orphan| orphan.session).collect()
}

#[tokio::test]
async fn orphan_is_reported_once_and_listed_while_it_is_held() {
    let fixture = Fixture::new().await;
    let (node, id) = (fixture.node().await, SessionId::from_bits(1));
    let held = [domain::HeldSession { session: id.clone(), epoch: 7 }];
    let mut reported = Vec::new();
    for _ in 0..4 {
        let heartbeat =
            fixture.world.nodes.heartbeat(&node.id, &node.incarnation, &held, None).await.unwrap();
        let domain::HeartbeatOutcome::Renewed { orphans, .. } = heartbeat else {
            panic!("{heartbeat:?}")
        };
        reported.push(orphans.len());
    }
    assert_eq!(reported, [0, 1, 0, 0]);
    assert_eq!(listed(&fixture).await, [id]);
    fixture.world.nodes.heartbeat(&node.id, &node.incarnation, &[], None).await.unwrap();
    assert!(listed(&fixture).await.is_empty());
}

#[tokio::test]
async fn adopted_orphan_is_a_stopped_session_that_can_be_started() {
    let (fixture, id) = orphan().await;
    assert_eq!(listed(&fixture).await, std::slice::from_ref(&id));
    orphans(&fixture).adopt(&acme(), id.as_str()).await.unwrap();
    let again = orphans(&fixture).adopt(&acme(), id.as_str()).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    fixture.settle().await;
    let session = fixture.view(&id).await;
    assert_eq!(
        (session.spec.desired, session.observed.status),
        (Desired::Stopped, Status::Stopped)
    );
    assert!(session.is_paired(), "the node has reported the identity");
    assert!(listed(&fixture).await.is_empty());
    let foreign = fixture.world.sessions.view(&World::zeta(), id.as_str()).await;
    assert!(matches!(foreign, Err(Error::NotFound { .. })), "{foreign:?}");
    fixture.world.sessions.start(&World::acme(), id.as_str(), None).await.unwrap();
    fixture.settle().await;
    assert_eq!(fixture.view(&id).await.observed.status, Status::Working);
}

#[tokio::test]
async fn unlinked_orphan_is_wiped_and_recorded_in_the_events() {
    let (fixture, id) = orphan().await;
    orphans(&fixture).unlink(&acme(), id.as_str()).await.unwrap();
    fixture.settle().await;
    assert!(fixture.world.gateway.held().is_empty());
    assert!(fixture.world.memory.cleanups().is_empty());
    let events = fixture.world.memory.events();
    let ended = events.iter().find(|event| event.name() == EventName::SessionRetired).unwrap();
    assert_eq!(
        (ended.session.as_ref(), Some(&ended.organization)),
        (Some(&id), acme().organization.as_ref())
    );
    let unlink = LogoutOutcome::Confirmed;
    assert_eq!(ended.payload, EventPayload::SessionRetired { unlink });
}

#[tokio::test]
async fn other_sessions_are_neither_adopted_nor_unlinked() {
    let fixture = Fixture::new().await;
    let owned = fixture.working().await;
    fixture.heartbeat().await;
    for id in [owned.as_str(), SessionId::from_bits(1).as_str(), "x"] {
        let adopted = orphans(&fixture).adopt(&acme(), id).await.map(drop);
        let unlinked = orphans(&fixture).unlink(&acme(), id).await;
        for refused in [adopted, unlinked] {
            assert!(matches!(refused, Err(Error::NotFound { .. })), "{id}: {refused:?}");
        }
    }
}
