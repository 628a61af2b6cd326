//! A node that cannot read the device keys does not know whether a device is linked. No step
//! afterwards turns that into "not linked", and the reason ends when the keys can be read again.

use std::time::Duration;

use domain::{
    Desired, EventPayload, LogoutOutcome, ReasonCode, SessionId, Settings, Status, testing::World,
};

use crate::fixture::Fixture;

/// Returns a stopped session that a phone linked while the keys were unreadable: the router knows
/// of no device.
async fn linked_unnoticed(fixture: &Fixture) -> SessionId {
    let (sessions, acme) = (&fixture.world.sessions, World::acme());
    let id = sessions.create(&acme, Settings::default(), false, None).await.unwrap().id;
    let qr = sessions.qr(&acme, id.as_str(), Duration::from_secs(10)).await.unwrap();
    fixture.world.gateway.set_slow(true);
    assert!(fixture.world.gateway.scan(&qr.text));
    fixture.world.gateway.set_unreadable(true);
    sessions.stop(&acme, id.as_str(), None).await.unwrap();
    fixture.settle().await;
    assert_eq!(
        fixture.status(&id).await,
        (Status::Failed, Some(ReasonCode::KeysUnavailable), false)
    );
    id
}

/// The node is silent until it is lost; then a new process of the node registers.
async fn restart_lost_node(fixture: &Fixture) {
    fixture.pass(45, false).await;
    assert!(fixture.node().await.lost_at.is_some());
    fixture.restart_node().await;
    fixture.settle().await;
}

impl Fixture {
    /// Returns what the owner sees: the status, its reason, and whether a device is linked.
    async fn status(&self, id: &SessionId) -> (Status, Option<ReasonCode>, bool) {
        let session = self.view(id).await;
        let reason = session.observed.reason.as_ref().map(|reason| reason.code);
        (session.observed.status, reason, session.is_paired())
    }
}

#[tokio::test]
async fn lost_node_is_no_proof_that_no_device_is_linked() {
    let fixture = Fixture::new().await;
    let id = linked_unnoticed(&fixture).await;
    fixture.pass(45, false).await;
    assert!(fixture.node().await.lost_at.is_some());
    assert!(!fixture.view(&id).await.is_certainly_unlinked());
    fixture.world.gateway.set_unreadable(false);
    restart_lost_node(&fixture).await;
    assert_eq!(fixture.status(&id).await, (Status::Stopped, None, true), "the link is reported");
}

#[tokio::test]
async fn logout_during_the_loss_of_the_node_unlinks_the_device() {
    let fixture = Fixture::new().await;
    let id = linked_unnoticed(&fixture).await;
    fixture.pass(45, false).await;
    let acme = World::acme();
    let asked = fixture.world.sessions.logout(&acme, id.as_str(), None).await.unwrap();
    assert!(asked.spec.unlink.is_some(), "the unlink waits for the node");
    restart_lost_node(&fixture).await;
    assert_eq!(fixture.world.gateway.devices().as_slice(), std::slice::from_ref(&id));
    fixture.world.gateway.set_unreadable(false);
    fixture.pass(60, true).await;
    assert!(fixture.world.gateway.devices().is_empty());
    assert_eq!(
        fixture.status(&id).await,
        (Status::Stopped, Some(ReasonCode::LoggedOutByUser), false)
    );
}

#[tokio::test]
async fn delete_with_unreadable_keys_unlinks_the_unnoticed_device() {
    let fixture = Fixture::new().await;
    let id = linked_unnoticed(&fixture).await;
    fixture.world.sessions.delete(&World::acme(), id.as_str(), None).await.unwrap();
    fixture.pass(60, true).await;
    assert_eq!(fixture.world.memory.cleanups().len(), 1, "the cleanup waits for the keys");
    restart_lost_node(&fixture).await;
    fixture.world.gateway.set_unreadable(false);
    fixture.pass(60, true).await;
    assert!(fixture.world.gateway.devices().is_empty());
    assert!(!fixture.world.gateway.held().contains(&id));
    let outcomes = fixture.world.memory.events().into_iter().filter_map(|event| {
        let EventPayload::SessionRetired { unlink } = event.payload else { return None };
        Some(unlink)
    });
    assert_eq!(outcomes.collect::<Vec<_>>(), [LogoutOutcome::Confirmed]);
}

#[tokio::test]
async fn reason_of_a_stopped_session_ends_when_the_keys_can_be_read() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    fixture.world.gateway.set_unreadable(true);
    fixture.world.sessions.stop(&World::acme(), id.as_str(), None).await.unwrap();
    fixture.settle().await;
    let unknown = (Status::Failed, Some(ReasonCode::KeysUnavailable), true);
    assert_eq!(fixture.status(&id).await, unknown);
    fixture.world.gateway.set_unreadable(false);
    fixture.settle().await;
    assert_eq!(fixture.status(&id).await, (Status::Stopped, None, true));
}

#[tokio::test]
async fn unlinked_session_shows_the_unlink_again_when_the_keys_can_be_read() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    let unlinked = (Status::Failed, Some(ReasonCode::LoggedOutByPhone), false);
    fixture.world.gateway.report_status(&id, Status::Failed, ReasonCode::LoggedOutByPhone);
    fixture.settle().await;
    assert_eq!(fixture.status(&id).await, unlinked);
    fixture.world.gateway.set_unreadable(true);
    restart_lost_node(&fixture).await;
    let unknown = (Status::Failed, Some(ReasonCode::KeysUnavailable), false);
    assert_eq!(fixture.status(&id).await, unknown);
    fixture.world.gateway.set_unreadable(false);
    fixture.settle().await;
    assert_eq!(fixture.status(&id).await, unlinked);
}

#[tokio::test]
async fn unlinked_session_shows_the_unlink_again_when_its_node_returns() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    let unlinked = (Status::Failed, Some(ReasonCode::LoggedOutByPhone), false);
    fixture.world.gateway.report_status(&id, Status::Failed, ReasonCode::LoggedOutByPhone);
    fixture.settle().await;
    fixture.pass(45, false).await;
    let lost = (Status::Failed, Some(ReasonCode::GatewayLost), false);
    assert_eq!(fixture.status(&id).await, lost);
    restart_lost_node(&fixture).await;
    assert_eq!(fixture.status(&id).await, unlinked);
    assert_eq!(fixture.view(&id).await.spec.desired, Desired::Running, "only the owner stops it");
}

#[tokio::test]
async fn connection_that_whatsapp_closed_stays_closed_when_the_keys_can_be_read() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    fixture.world.gateway.set_unreadable(true);
    fixture.world.gateway.report_status(&id, Status::Failed, ReasonCode::Replaced);
    fixture.settle().await;
    let unknown = (Status::Failed, Some(ReasonCode::KeysUnavailable), true);
    assert_eq!(fixture.status(&id).await, unknown);
    fixture.world.gateway.set_unreadable(false);
    fixture.settle().await;
    assert_eq!(fixture.status(&id).await, (Status::Failed, Some(ReasonCode::Replaced), true));
}
