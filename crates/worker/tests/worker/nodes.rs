//! Nodes come, go silent and come back; no session is believed connected that is not.

use std::time::Duration;

use domain::{
    ReasonCode, Settings, Status,
    ports::{SessionFilter, SessionPage},
    testing::World,
};

use crate::stage::Stage;

#[tokio::test]
async fn sessions_of_a_silent_node_fail_and_come_back_with_it() {
    let stage = Stage::new().await;
    let (running, stopped) = (stage.working().await, stage.working().await);
    stage.world.sessions.stop(&World::acme(), stopped.as_str()).await.unwrap();
    stage.settle().await;
    stage.pass(29, false).await;
    assert_eq!(
        stage.view(&running).await.observed.status,
        Status::Working,
        "not before its lease is out"
    );
    stage.pass(2, false).await;
    let shown = stage.view(&running).await;
    assert!(shown.lease_over, "shown before anything is written");
    assert_eq!(shown.observed.reason.unwrap().code, ReasonCode::GatewayLost);
    let all = SessionPage { filter: SessionFilter::default(), after: None, limit: 9 };
    let listed = stage.world.sessions.list(&World::acme(), &all).await.unwrap();
    let statuses = [&stopped, &running].map(|id| {
        listed.iter().find(|session| session.id == *id).map(|session| session.observed.status)
    });
    assert_eq!(statuses, [Some(Status::Stopped), Some(Status::Failed)]);
    stage.pass(13, false).await;
    let lost = stage.view(&running).await;
    assert!(!lost.lease_over, "written when the margin is over, too");
    assert_eq!(lost.observed.status, Status::Failed);
    assert_eq!(lost.observed.reason.unwrap().code, ReasonCode::GatewayLost);
    assert_eq!(stage.view(&stopped).await.observed.status, Status::Stopped);
    stage.settle().await;
    assert_eq!(stage.view(&running).await.observed.status, Status::Working, "back by itself");
    assert_eq!(
        stage.view(&stopped).await.observed.status,
        Status::Stopped,
        "stopped stays stopped"
    );
}

#[tokio::test]
async fn a_node_hears_which_sessions_are_no_longer_its_own() {
    let stage = Stage::new().await;
    let id = stage.working().await;
    let node = stage.node().await;
    let strange = domain::SessionId::from_bits(1);
    let held = [&id, &strange].map(|id| domain::HeldSession { session: id.clone(), epoch: 1 });
    let heartbeat =
        stage.world.nodes.heartbeat(&node.id, &node.incarnation, &held, None).await.unwrap();
    let domain::HeartbeatOutcome::Renewed { lost, .. } = heartbeat else { panic!("{heartbeat:?}") };
    assert_eq!(lost, [strange]);
    stage.world.sessions.delete(&World::acme(), id.as_str(), None).await.unwrap();
    let heartbeat =
        stage.world.nodes.heartbeat(&node.id, &node.incarnation, &held[..1], None).await.unwrap();
    let domain::HeartbeatOutcome::Renewed { lost, .. } = heartbeat else { panic!("{heartbeat:?}") };
    assert!(lost.is_empty(), "a deleted session is its node's until it is unlinked");
}

#[tokio::test]
async fn a_full_node_is_asked_again_and_another_takes_over() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let session = world.sessions.create(&World::acme(), Settings::default(), true).await.unwrap();
    stage.settle().await;
    assert_eq!(stage.view(&session.id).await.observed.status, Status::ScanQrCode);
    let strangers = world.nodes.report(&stage.node().await.id, "another incarnation", vec![]).await;
    assert!(matches!(strangers.unwrap(), domain::ReportOutcome::NotRegistered));
}

#[tokio::test]
async fn heartbeats_whose_answers_are_lost_renew_no_lease() {
    let stage = Stage::new().await;
    let id = stage.working().await;
    let node = stage.node().await;
    let held = [domain::HeldSession { session: id.clone(), epoch: 1 }];
    for second in 1..=60_u64 {
        stage.pass(1, false).await;
        // It last heard an answer when this began.
        let heard = Some(Duration::from_secs(second));
        stage.world.nodes.heartbeat(&node.id, &node.incarnation, &held, heard).await.unwrap();
        let observed = stage.view(&id).await.observed;
        if second > 31 {
            assert_eq!(observed.status, Status::Failed, "{second}");
            assert_eq!(observed.reason.unwrap().code, ReasonCode::GatewayLost);
        }
    }
    let known = stage.node().await;
    assert!(known.lost_at.is_some(), "given up, though its heartbeats arrive");
    stage.world.register("gw-test").await;
    stage.settle().await;
    assert_eq!(stage.view(&id).await.observed.status, Status::Working, "back by itself");
}

#[tokio::test]
async fn a_node_without_keys_of_a_linked_session_unlinks_nothing() {
    let stage = Stage::new().await;
    let id = stage.working().await;
    let known = stage.view(&id).await.observed.identity;
    stage.world.gateway.set_unreadable(true);
    stage.world.gateway.restart();
    stage.world.register("gw-test").await;
    stage.world.gateway.register(2);
    stage.settle().await;
    let session = stage.view(&id).await;
    assert_eq!(session.observed.status, Status::Failed);
    assert_eq!(session.observed.reason.as_ref().unwrap().code, ReasonCode::KeysUnavailable);
    assert_eq!(session.observed.identity, known, "nobody is told to pair anew");
    let acme = World::acme();
    let out = stage.world.sessions.logout(&acme, id.as_str()).await.unwrap();
    assert_eq!(out.spec.desired, domain::Desired::Stopped);
    assert_eq!(out.observed.reason.unwrap().code, ReasonCode::KeysUnavailable);
    assert_eq!(stage.world.gateway.devices().as_slice(), std::slice::from_ref(&id));
    stage.world.gateway.set_unreadable(false);
    stage.pass(60, true).await;
    assert!(stage.world.gateway.devices().is_empty(), "the unlink went on by itself");
    let session = stage.view(&id).await;
    assert_eq!(session.observed.identity, None);
    assert_eq!(session.gateway, None, "its node's room is for others");
}
