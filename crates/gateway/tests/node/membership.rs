//! The membership of a node: leases, lost sessions, and reports that arrive despite outages.

use gateway_protocol::{RefusalCode, Snapshot, Status};

use crate::{
    fixture::{NodeFixture, pairing, reason_code, running, stopped},
    wait::PATIENCE,
};

#[tokio::test(flavor = "multi_thread")]
async fn node_without_its_router_closes_at_lease_end_and_waits_for_declarations() {
    let fixture = NodeFixture::new().await;
    let (api, phone) = (&fixture.api, fixture.whatsapp.add_phone("15550000040", "Le").unwrap());
    fixture.linked("s1", &phone).await;
    api.declare("idle", &stopped(1)).await.unwrap();
    fixture.router.state().lease_ms = 400;
    let heartbeats = fixture.router.state().heartbeats.len();
    fixture.router.until("a short lease", |state| state.heartbeats.len() > heartbeats + 1).await;
    assert_eq!(api.view("s1").await.unwrap().status, Status::Working);

    fixture.router.state().away = true;
    let closed = api.status("s1", Status::Starting).await;
    assert_eq!(reason_code(&closed), "connect_failed");
    assert_eq!(api.view("idle").await.unwrap().status, Status::Stopped);
    assert!(phone.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    let late = api.declare("s1", &pairing(1, 1, None)).await;
    assert_eq!(late.unwrap_err().code, RefusalCode::Unavailable, "commands need a lease");

    fixture.router.state().lease_ms = 60_000;
    let registered = fixture.router.state().registrations.len();
    fixture.router.state().away = false;
    let again = "the node registers again, so that the router examines its sessions";
    fixture.router.until(again, |state| state.registrations.len() > registered).await;
    assert_eq!(api.view("s1").await.unwrap().status, Status::Starting, "a declaration is required");
    api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    api.working("s1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_during_a_router_outage_are_reported_in_order_afterwards() {
    let fixture = NodeFixture::new().await;
    let api = &fixture.api;
    fixture.router.state().away = true;
    for epoch in (1..=60).step_by(2) {
        for session in ["s1", "s2"] {
            api.declare(session, &pairing(epoch, epoch, None)).await.unwrap();
            api.declare(session, &stopped(epoch + 1)).await.unwrap();
        }
    }
    let newest = [api.view("s1").await.unwrap(), api.view("s2").await.unwrap()];
    fixture.router.state().away = false;
    for last in &newest {
        let reports = |s: &Snapshot| (s.session == last.session, s.seq) == (true, last.seq);
        fixture.router.until("the newest", |state| state.reports.iter().any(reports)).await;
        let reports = fixture.router.reports_of(&last.session);
        assert!(reports.is_sorted_by_key(|s| s.seq), "{reports:?}");
        assert_eq!(reports.last(), Some(last));
        assert!(reports.len() < 60, "the middle is dropped: {}", reports.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn router_that_forgot_the_node_gets_all_reports_and_connections_stay() {
    let fixture = NodeFixture::new().await;
    let (api, phone) = (&fixture.api, fixture.whatsapp.add_phone("15550000041", "Fo").unwrap());
    let before = fixture.linked("s1", &phone).await;
    fixture.router.state().known_incarnation = None;
    fixture.router.until("registered again", |state| state.generation == 2).await;
    fixture
        .router
        .until("all sessions reported", |state| {
            state
                .reports
                .iter()
                .any(|s| (s.generation, s.seq, s.status) == (2, before.seq, Status::Working))
        })
        .await;
    let registered = fixture.router.state().registrations.clone();
    assert_eq!(registered[0].incarnation, registered[1].incarnation);
    let now = api.view("s1").await.unwrap();
    assert_eq!((now.generation, now.seq), (2, before.seq));
    assert!(phone.devices()[0].connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_session_is_closed_and_wiped_only_if_never_linked() {
    let fixture = NodeFixture::new().await;
    let (api, phone) = (&fixture.api, fixture.whatsapp.add_phone("15550000042", "Go").unwrap());
    fixture.linked("linked", &phone).await;
    api.declare("pairing", &pairing(1, 1, None)).await.unwrap();
    api.qr("pairing").await;
    fixture.router.state().lost = vec!["linked".into(), "pairing".into(), "unknown".into()];

    let closed = api.status("linked", Status::Stopped).await;
    assert!(closed.identity.is_some());
    assert!(phone.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    crate::wait::until("gone", || async { api.view("pairing").await.err() }).await;
    assert_eq!(fixture.sessions_with_keys(), ["linked"]);

    api.declare("linked", &running(2)).await.unwrap();
    api.working("linked").await;
    api.declare("pairing", &pairing(2, 2, None)).await.unwrap();
    api.qr("pairing").await;
}
