//! The lifecycle of a session, from its first QR code to its removal.

use gateway_protocol::{LogoutOutcome, Status};
use whatsapp_sim::Config;

use crate::{
    fixture::{NodeFixture, pairing, reason_code, running, stopped},
    wait::PATIENCE,
};

#[tokio::test(flavor = "multi_thread")]
async fn session_passes_through_its_whole_lifecycle() {
    let fixture = NodeFixture::new().await;
    let (api, phone) = (&fixture.api, fixture.whatsapp.add_phone("15550000001", "Ann").unwrap());

    let first = api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    assert_eq!((first.status, first.identity), (Status::Starting, None));
    let qr = api.qr("s1").await;
    let shown = api.view("s1").await.unwrap();
    assert_eq!(shown.status, Status::ScanQrCode);
    let shown = shown.pairing.unwrap();
    assert_eq!(shown.attempt, 1);
    assert_eq!(shown.qr.as_ref().map(|qr| (qr.number, qr.of)), Some((1, 6)));

    let device = phone.scan(&qr).await.unwrap();
    let works = api.working("s1").await;
    let who = works.identity.clone().unwrap();
    assert_eq!((who.phone.as_str(), who.device), ("15550000001", device.id));
    assert_eq!(who.jid, device.jid);
    assert!(who.lid.as_ref().is_some_and(|lid| lid.starts_with(&phone.lid())));
    assert_eq!(who.push_name.as_deref(), Some("Ann"));
    assert_eq!(works.pairing, None);
    assert_eq!((device.os.as_str(), device.platform.as_str()), ("berth", "chrome"));
    let live = api.identity("s1").await.unwrap();
    assert_eq!((live.connected, live.identity), (true, Some(who.clone())));

    let restarted = gateway_protocol::Declaration { restarts: 1, ..running(2) };
    assert_eq!(api.declare("s1", &restarted).await.unwrap().status, Status::Starting);
    assert_eq!(api.working("s1").await.identity, Some(who.clone()));

    let closed = api.declare("s1", &stopped(3)).await.unwrap();
    assert_eq!((closed.status, closed.identity), (Status::Stopped, Some(who.clone())));
    assert!(phone.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    assert!(!api.identity("s1").await.unwrap().connected);

    api.declare("s1", &gateway_protocol::Declaration { restarts: 1, ..running(4) }).await.unwrap();
    api.working("s1").await;

    let out = api.logout("s1", 5, PATIENCE / 2).await.unwrap();
    assert_eq!(out.outcome, LogoutOutcome::Confirmed);
    assert_eq!((out.snapshot.status, out.snapshot.identity.clone()), (Status::Stopped, None));
    assert_eq!(reason_code(&out.snapshot), "logged_out_by_user");
    assert!(phone.devices().is_empty());
    let again = api.logout("s1", 5, PATIENCE).await.unwrap();
    assert_eq!(
        again.outcome,
        LogoutOutcome::Confirmed,
        "the same answer as the first, which may have been lost"
    );
    assert_eq!(api.logout("s1", 6, PATIENCE).await.unwrap().outcome, LogoutOutcome::NotLinked);

    api.forget("s1", 6).await.unwrap();
    api.forget("s1", 6).await.unwrap();
    assert!(api.view("s1").await.is_err());
    assert_eq!(fixture.sessions_with_keys(), Vec::<String>::new());
    let reports = fixture.router.reports_of("s1");
    assert!(reports.is_sorted_by_key(|s| (s.generation, s.seq)), "{reports:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn session_is_linked_by_a_code_and_a_new_code_replaces_the_first() {
    let fixture = NodeFixture::new().await;
    let (api, phone) = (&fixture.api, fixture.whatsapp.add_phone("15550000002", "Bob").unwrap());
    api.declare("s1", &pairing(1, 1, Some("15550000002"))).await.unwrap();
    let first = api.code("s1", 1).await;
    let shown = api.view("s1").await.unwrap();
    assert_eq!(shown.status, Status::ScanQrCode);
    assert!(shown.pairing.unwrap().qr.is_some(), "the QR codes continue");

    api.declare("s1", &pairing(2, 1, Some("15550000002"))).await.unwrap();
    let second = api.code("s1", 2).await;
    assert_ne!(first, second);
    phone.enter_code(&second).await.unwrap();
    let works = api.working("s1").await;
    assert_eq!(works.identity.unwrap().phone, "15550000002");
}

#[tokio::test(flavor = "multi_thread")]
async fn code_can_be_requested_after_the_qr_code() {
    let fixture = NodeFixture::new().await;
    let (api, phone) = (&fixture.api, fixture.whatsapp.add_phone("15550000003", "Cy").unwrap());
    api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    api.qr("s1").await;
    api.declare("s1", &pairing(2, 1, Some("15550000003"))).await.unwrap();
    phone.enter_code(&api.code("s1", 2).await).await.unwrap();
    api.working("s1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_attempt_restarts_pairing_and_no_attempt_ends_it() {
    let fixture = NodeFixture::new().await;
    let api = &fixture.api;
    api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    let first = api.qr("s1").await;
    api.declare("s1", &pairing(2, 2, None)).await.unwrap();
    let fresh = |s: &gateway_protocol::Snapshot| {
        let pairing = s.pairing.as_ref();
        pairing.is_some_and(|p| p.attempt == 2 && p.qr.as_ref().is_some_and(|qr| qr.text != first))
    };
    api.until("s1", "shows another QR code", fresh).await;
    let ended = api.declare("s1", &running(3)).await.unwrap();
    assert_eq!((ended.status, ended.reason, ended.pairing), (Status::Stopped, None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn unused_attempt_expires_and_is_not_restarted() {
    let fixture = NodeFixture::with(Config { refs: 0, ..Config::default() }, 10, |wire| wire).await;
    let api = &fixture.api;
    api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    let over = api.status("s1", Status::Stopped).await;
    assert_eq!(reason_code(&over), "pairing_expired");
    let again = api.declare("s1", &pairing(2, 1, None)).await.unwrap();
    assert_eq!((again.status, reason_code(&again)), (Status::Stopped, "pairing_expired"));
    let fresh = api.declare("s1", &pairing(3, 2, None)).await.unwrap();
    assert_eq!((fresh.status, fresh.reason), (Status::Starting, None));
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pairing_of_a_hosted_account_fails_with_a_reason() {
    let fixture = NodeFixture::new().await;
    let (api, phone) = (&fixture.api, fixture.whatsapp.add_phone("15550000004", "Dee").unwrap());
    phone.set_hosted(true);
    api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    let qr = api.qr("s1").await;
    assert!(phone.scan(&qr).await.is_err());
    let failed = api.status("s1", Status::Failed).await;
    assert_eq!(reason_code(&failed), "pairing_failed");
    assert!(failed.reason.unwrap().message.contains("hosted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_of_a_stopped_session_connects_first() {
    let fixture = NodeFixture::new().await;
    let (api, phone) = (&fixture.api, fixture.whatsapp.add_phone("15550000005", "Eve").unwrap());
    fixture.linked("s1", &phone).await;
    api.declare("s1", &stopped(2)).await.unwrap();
    assert!(phone.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    let out = api.logout("s1", 3, PATIENCE / 2).await.unwrap();
    assert_eq!(out.outcome, LogoutOutcome::Confirmed);
    assert!(phone.devices().is_empty());
    assert_eq!(fixture.sessions_with_keys(), Vec::<String>::new());
}
