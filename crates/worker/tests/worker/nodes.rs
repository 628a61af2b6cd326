//! Nodes come, go silent and come back; no session is believed connected that is not.

use domain::{ReasonCode, Settings, Status, testing::World};

use crate::stage::Stage;

#[tokio::test]
async fn sessions_of_a_silent_node_fail_and_come_back_with_it() {
    let stage = Stage::new().await;
    let (running, stopped) = (stage.working().await, stage.working().await);
    stage.world.sessions.stop(&World::acme(), stopped.as_str()).await.unwrap();
    stage.settle().await;
    stage.pass(39, false).await;
    assert_eq!(
        stage.view(&running).await.seen.status,
        Status::Working,
        "not before its lease is out"
    );
    stage.pass(5, false).await;
    let lost = stage.view(&running).await;
    assert_eq!(lost.seen.status, Status::Failed);
    assert_eq!(lost.seen.reason.unwrap().code, ReasonCode::GatewayLost);
    assert_eq!(stage.view(&stopped).await.seen.status, Status::Stopped);
    stage.settle().await;
    assert_eq!(stage.view(&running).await.seen.status, Status::Working, "back by itself");
    assert_eq!(stage.view(&stopped).await.seen.status, Status::Stopped, "stopped stays stopped");
}

#[tokio::test]
async fn a_node_hears_which_sessions_are_no_longer_its_own() {
    let stage = Stage::new().await;
    let id = stage.working().await;
    let node = stage.node().await;
    let strange = domain::SessionId::mint(1);
    let held = [&id, &strange].map(|id| domain::Held { session: id.clone(), epoch: 1 });
    let beat = stage.world.nodes.beat(&node.id, &node.incarnation, &held).await.unwrap();
    let domain::Beat::Renewed { lost, .. } = beat else { panic!("{beat:?}") };
    assert_eq!(lost, [strange]);
    stage.world.sessions.delete(&World::acme(), id.as_str(), None).await.unwrap();
    let beat = stage.world.nodes.beat(&node.id, &node.incarnation, &held[..1]).await.unwrap();
    let domain::Beat::Renewed { lost, .. } = beat else { panic!("{beat:?}") };
    assert!(lost.is_empty(), "a deleted session is its node's until it is unlinked");
}

#[tokio::test]
async fn a_full_node_is_asked_again_and_another_takes_over() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let session = world.sessions.create(&World::acme(), Settings::default(), true).await.unwrap();
    stage.settle().await;
    assert_eq!(stage.view(&session.id).await.seen.status, Status::ScanQrCode);
    let strangers = world.nodes.report(&stage.node().await.id, "another incarnation", vec![]).await;
    assert!(matches!(strangers.unwrap(), domain::Reported::NotEnlisted));
}
