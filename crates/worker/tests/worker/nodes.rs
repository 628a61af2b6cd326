//! Nodes register, become silent and return; lost connections are never shown as working.

use std::time::Duration;

use domain::{
    ReasonCode, Settings, Status,
    ports::{SessionFilter, SessionPage, WorkerStore},
    testing::World,
};

use crate::fixture::Fixture;

#[tokio::test]
async fn sessions_of_a_silent_node_fail_and_come_back_with_it() {
    let fixture = Fixture::new().await;
    let (running, stopped) = (fixture.working().await, fixture.working().await);
    fixture.world.sessions.stop(&World::acme(), stopped.as_str(), None).await.unwrap();
    fixture.settle().await;
    fixture.pass(29, false).await;
    assert_eq!(
        fixture.view(&running).await.observed.status,
        Status::Working,
        "working until the lease ends"
    );
    fixture.pass(2, false).await;
    let shown = fixture.view(&running).await;
    assert!(shown.lease_over, "shown before the state is written");
    assert_eq!(shown.observed.reason.unwrap().code, ReasonCode::GatewayLost);
    let all = SessionPage { filter: SessionFilter::default(), after: None, limit: 9 };
    let listed = fixture.world.sessions.list(&World::acme(), &all).await.unwrap();
    let statuses = [&stopped, &running].map(|id| {
        listed.iter().find(|session| session.id == *id).map(|session| session.observed.status)
    });
    assert_eq!(statuses, [Some(Status::Stopped), Some(Status::Failed)]);
    fixture.pass(13, false).await;
    let lost = fixture.view(&running).await;
    assert!(!lost.lease_over, "written when the margin has passed");
    assert_eq!(lost.observed.status, Status::Failed);
    assert_eq!(lost.observed.reason.unwrap().code, ReasonCode::GatewayLost);
    assert_eq!(fixture.view(&stopped).await.observed.status, Status::Stopped);
    fixture.settle().await;
    assert_eq!(fixture.view(&running).await.observed.status, Status::Working, "recovers by itself");
    assert_eq!(
        fixture.view(&stopped).await.observed.status,
        Status::Stopped,
        "stopped stays stopped"
    );
}

#[tokio::test]
async fn heartbeat_answer_lists_sessions_of_other_nodes() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    let node = fixture.node().await;
    let unknown = domain::SessionId::from_bits(1);
    let held = [&id, &unknown].map(|id| domain::HeldSession { session: id.clone(), epoch: 1 });
    let heartbeat =
        fixture.world.nodes.heartbeat(&node.id, &node.incarnation, &held, None).await.unwrap();
    let domain::HeartbeatOutcome::Renewed { lost, .. } = heartbeat else { panic!("{heartbeat:?}") };
    assert_eq!(lost, [unknown]);
    fixture.world.sessions.delete(&World::acme(), id.as_str(), None).await.unwrap();
    let heartbeat =
        fixture.world.nodes.heartbeat(&node.id, &node.incarnation, &held[..1], None).await.unwrap();
    let domain::HeartbeatOutcome::Renewed { lost, .. } = heartbeat else { panic!("{heartbeat:?}") };
    assert!(lost.is_empty(), "a deleted session stays on its node until it is unlinked");
}

#[tokio::test]
async fn session_is_assigned_and_a_foreign_report_is_refused() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let session =
        world.sessions.create(&World::acme(), Settings::default(), true, None).await.unwrap();
    fixture.settle().await;
    assert_eq!(fixture.view(&session.id).await.observed.status, Status::ScanQrCode);
    let foreign = world.nodes.report(&fixture.node().await.id, "another incarnation", vec![]).await;
    assert!(matches!(foreign.unwrap(), domain::ReportOutcome::NotRegistered));
}

#[tokio::test]
async fn heartbeats_whose_answers_are_lost_renew_no_lease() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    let node = fixture.node().await;
    let held = [domain::HeldSession { session: id.clone(), epoch: 1 }];
    for second in 1..=60_u64 {
        fixture.pass(1, false).await;
        // The node received its last response when the test began.
        let response_age = Some(Duration::from_secs(second));
        fixture
            .world
            .nodes
            .heartbeat(&node.id, &node.incarnation, &held, response_age)
            .await
            .unwrap();
        let observed = fixture.view(&id).await.observed;
        if second > 31 {
            assert_eq!(observed.status, Status::Failed, "{second}");
            assert_eq!(observed.reason.unwrap().code, ReasonCode::GatewayLost);
        }
    }
    let node = fixture.node().await;
    assert!(node.lost_at.is_some(), "lost, although its heartbeats arrive");
    fixture.register().await;
    fixture.settle().await;
    assert_eq!(fixture.view(&id).await.observed.status, Status::Working, "recovers by itself");
}

#[tokio::test]
async fn delayed_report_of_a_lost_node_is_refused() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    let mut delayed = fixture.world.gateway.snapshot(&id).unwrap();
    delayed.seq += 1;
    fixture.pass(45, false).await;
    let node = fixture.node().await;
    assert!(node.lost_at.is_some());
    let reports = vec![(id.clone(), delayed)];
    let outcome = fixture.world.nodes.report(&node.id, &node.incarnation, reports).await.unwrap();
    assert!(matches!(outcome, domain::ReportOutcome::NotRegistered), "it has to register first");
    let stored = WorkerStore::find(&fixture.world.memory, &id).await.unwrap().unwrap();
    assert_eq!(stored.observed.status, Status::Failed, "the node has closed the connection");
    fixture.settle().await;
    assert_eq!(fixture.view(&id).await.observed.status, Status::Working);
}

#[tokio::test]
async fn node_without_keys_of_a_linked_session_unlinks_no_device() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    let known = fixture.view(&id).await.observed.identity;
    fixture.world.gateway.set_unreadable(true);
    fixture.restart_node().await;
    fixture.settle().await;
    let session = fixture.view(&id).await;
    assert_eq!(session.observed.status, Status::Failed);
    assert_eq!(session.observed.reason.as_ref().unwrap().code, ReasonCode::KeysUnavailable);
    assert_eq!(session.observed.identity, known, "the session stays paired");
    let acme = World::acme();
    let out = fixture.world.sessions.logout(&acme, id.as_str(), None).await.unwrap();
    assert_eq!(out.spec.desired, domain::Desired::Stopped);
    assert_eq!(out.observed.reason.unwrap().code, ReasonCode::KeysUnavailable);
    assert_eq!(fixture.world.gateway.devices().as_slice(), std::slice::from_ref(&id));
    fixture.world.gateway.set_unreadable(false);
    fixture.pass(60, true).await;
    assert!(fixture.world.gateway.devices().is_empty(), "the unlink continues without a request");
    let session = fixture.view(&id).await;
    assert_eq!(session.observed.identity, None);
    assert_eq!(session.gateway, None, "its capacity on the node is free");
}
