//! Disconnects by WhatsApp and by phones, and the states that the node reports.

use gateway_protocol::{Declaration, Snapshot, Status};
use whatsapp_sim::{Kick, Phone};

use crate::{
    fixture::{NodeFixture, pairing, reason_code, running, stopped},
    wait::PATIENCE,
};

async fn world_with_a_link() -> (NodeFixture, Phone, u32) {
    let fixture = NodeFixture::new().await;
    let phone = fixture.whatsapp.add_phone("15550000010", "Kay").unwrap();
    let works = fixture.linked("s1", &phone).await;
    let device = works.identity.unwrap().device;
    assert!(phone.wait_connected(1, PATIENCE).await);
    (fixture, phone, device)
}

fn restarted(epoch: u64) -> Declaration {
    Declaration { restarts: epoch, ..running(epoch) }
}

#[tokio::test(flavor = "multi_thread")]
async fn device_unlinked_on_the_phone_leaves_no_keys_and_can_pair_again() {
    let (fixture, phone, device) = world_with_a_link().await;
    phone.unlink(device).unwrap();
    let out = fixture.api.status("s1", Status::Failed).await;
    assert_eq!((reason_code(&out), out.identity.as_ref()), ("logged_out_by_phone", None));
    assert_eq!(fixture.sessions_with_keys(), Vec::<String>::new());

    let same = fixture.api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    assert_eq!(
        reason_code(&same),
        "logged_out_by_phone",
        "the attempt that linked the device has ended"
    );
    let idle = fixture.api.declare("s1", &running(2)).await.unwrap();
    assert_eq!(reason_code(&idle), "logged_out_by_phone");

    fixture.api.declare("s1", &pairing(3, 3, None)).await.unwrap();
    phone.scan(&fixture.api.qr("s1").await).await.unwrap();
    let works = fixture.api.working("s1").await;
    assert_eq!(works.reason, None);
    assert!(phone.wait_connected(1, PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn device_unlinked_while_away_is_detected_at_the_next_login() {
    let (fixture, phone, device) = world_with_a_link().await;
    fixture.api.declare("s1", &stopped(2)).await.unwrap();
    assert!(phone.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    phone.unlink(device).unwrap();
    fixture.api.declare("s1", &running(3)).await.unwrap();
    let out = fixture.api.status("s1", Status::Failed).await;
    assert_eq!(reason_code(&out), "logged_out_by_phone");
    let stop = fixture.api.declare("s1", &stopped(4)).await.unwrap();
    assert_eq!((stop.status, stop.reason), (Status::Stopped, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_session_waits_for_a_restart() {
    let (fixture, phone, device) = world_with_a_link().await;
    phone.kick(device, Kick::Replaced).unwrap();
    let failed = fixture.api.status("s1", Status::Failed).await;
    assert_eq!(reason_code(&failed), "replaced");
    assert!(failed.identity.is_some());
    let same = fixture.api.declare("s1", &running(2)).await.unwrap();
    assert_eq!(same.status, Status::Failed, "the spec alone does not reconnect the device");
    fixture.api.declare("s1", &restarted(3)).await.unwrap();
    assert_eq!(fixture.api.working("s1").await.reason, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn ban_has_an_end() {
    let (fixture, phone, device) = world_with_a_link().await;
    phone.kick(device, Kick::Banned).unwrap();
    let failed = fixture.api.status("s1", Status::Failed).await;
    assert_eq!(reason_code(&failed), "banned");
    let ends = failed.reason.unwrap().retry_at.unwrap();
    assert!(ends > failed.at && ends <= failed.at + 3_600_000, "{ends}");

    phone.clear_login_refusal(device).unwrap();
    fixture.api.declare("s1", &stopped(2)).await.unwrap();
    fixture.api.declare("s1", &running(3)).await.unwrap();
    fixture.api.working("s1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outdated_client_is_reported() {
    let (fixture, phone, device) = world_with_a_link().await;
    phone.kick(device, Kick::Outdated).unwrap();
    let failed = fixture.api.status("s1", Status::Failed).await;
    assert_eq!(reason_code(&failed), "client_outdated");
}

/// The session reconnects on its own, and a short interruption is not reported.
async fn check_reconnects_unreported(kick: Kick) {
    let (fixture, phone, device) = world_with_a_link().await;
    let before = fixture.api.view("s1").await.unwrap();
    phone.kick(device, kick).unwrap();
    let away = |phone: &Phone| !phone.devices()[0].connected;
    assert!(away(&phone) || phone.wait_for(PATIENCE, away).await);
    assert!(phone.wait_connected(1, PATIENCE).await);
    let working = |s: &Snapshot| s.status == Status::Working;
    let reports: Vec<_> =
        fixture.router.reports_of("s1").into_iter().filter(|s| s.seq > before.seq).collect();
    assert!(reports.iter().all(working) || kick == Kick::Unavailable, "{reports:?}");
    fixture.api.working("s1").await;
    assert!(reports.iter().all(|s| s.status != Status::Failed), "{reports:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_connection_reconnects_unreported() {
    check_reconnects_unreported(Kick::Close).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unavailable_whatsapp_is_retried() {
    check_reconnects_unreported(Kick::Unavailable).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_whatsapp_is_reported_and_retried() {
    let (fixture, phone, device) = world_with_a_link().await;
    let address = fixture.whatsapp.address();
    fixture.whatsapp.stop().await;
    drop(phone);
    let slow = fixture.api.status("s1", Status::Starting).await;
    assert_eq!(reason_code(&slow), "connect_failed");
    assert_eq!(slow.identity.map(|who| who.device), Some(device));
    assert!(address.ip().is_loopback());
    let stop = fixture.api.declare("s1", &stopped(2)).await.unwrap();
    assert_eq!((stop.status, stop.reason), (Status::Stopped, None));
}
