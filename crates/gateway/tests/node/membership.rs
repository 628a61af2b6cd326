//! How a node belongs to its router: leases, lost sessions, and reports that arrive whatever
//! happens.

use gateway_protocol::{RefusalCode, Snapshot, Status};

use crate::world::{PATIENCE, World, pairing, running, stopped, why};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_its_router_closes_when_the_lease_ends_and_waits_to_be_told() {
    let world = World::new().await;
    let (api, phone) = (&world.api, world.whatsapp.add_phone("15550000040", "Le").unwrap());
    world.linked("s1", &phone).await;
    api.declare("idle", &stopped(1)).await.unwrap();
    world.router.heard().lease_ms = 400;
    let beats = world.router.heard().beats.len();
    world.router.until("a short lease", |heard| heard.beats.len() > beats + 1).await;
    assert_eq!(api.view("s1").await.unwrap().status, Status::Working);

    world.router.heard().away = true;
    let closed = api.status("s1", Status::Starting).await;
    assert_eq!(why(&closed), "connect_failed");
    assert_eq!(api.view("idle").await.unwrap().status, Status::Stopped);
    assert!(phone.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    let late = api.declare("s1", &pairing(1, 1, None)).await;
    assert_eq!(
        late.unwrap_err().code,
        RefusalCode::Unavailable,
        "nobody is obeyed without a lease"
    );

    world.router.heard().lease_ms = 60_000;
    let enlisted = world.router.heard().enlisted.len();
    world.router.heard().away = false;
    let again = "it enlists again, so that the router looks at everything it holds";
    world.router.until(again, |heard| heard.enlisted.len() > enlisted).await;
    assert_eq!(api.view("s1").await.unwrap().status, Status::Starting, "not without being told");
    api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    api.working("s1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_the_router_is_away_is_told_in_order_when_it_is_back() {
    let world = World::new().await;
    let api = &world.api;
    world.router.heard().away = true;
    for epoch in (1..=60).step_by(2) {
        for session in ["s1", "s2"] {
            api.declare(session, &pairing(epoch, epoch, None)).await.unwrap();
            api.declare(session, &stopped(epoch + 1)).await.unwrap();
        }
    }
    let newest = [api.view("s1").await.unwrap(), api.view("s2").await.unwrap()];
    world.router.heard().away = false;
    for last in &newest {
        let told = |s: &Snapshot| (s.session == last.session, s.seq) == (true, last.seq);
        world.router.until("the newest", |heard| heard.reports.iter().any(told)).await;
        let told = world.router.told_of(&last.session);
        assert!(told.is_sorted_by_key(|s| s.seq), "{told:?}");
        assert_eq!(told.last(), Some(last));
        assert!(told.len() < 60, "the middle is left out: {}", told.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_forgot_the_node_is_told_all_and_no_connection_suffers() {
    let world = World::new().await;
    let (api, phone) = (&world.api, world.whatsapp.add_phone("15550000041", "Fo").unwrap());
    let before = world.linked("s1", &phone).await;
    world.router.heard().known = None;
    world.router.until("enlisted again", |heard| heard.boot == 2).await;
    world
        .router
        .until("told all", |heard| {
            heard
                .reports
                .iter()
                .any(|s| (s.boot, s.seq, s.status) == (2, before.seq, Status::Working))
        })
        .await;
    let enlisted = world.router.heard().enlisted.clone();
    assert_eq!(enlisted[0].incarnation, enlisted[1].incarnation);
    let now = api.view("s1").await.unwrap();
    assert_eq!((now.boot, now.seq), (2, before.seq));
    assert!(phone.devices()[0].connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_is_closed_and_only_what_was_never_linked_is_wiped() {
    let world = World::new().await;
    let (api, phone) = (&world.api, world.whatsapp.add_phone("15550000042", "Go").unwrap());
    world.linked("linked", &phone).await;
    api.declare("pairing", &pairing(1, 1, None)).await.unwrap();
    api.qr("pairing").await;
    world.router.heard().lost = vec!["linked".into(), "pairing".into(), "unknown".into()];

    let closed = api.status("linked", Status::Stopped).await;
    assert!(closed.identity.is_some());
    assert!(phone.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    crate::world::until("gone", || async { api.view("pairing").await.err() }).await;
    assert_eq!(world.on_disk(), ["linked"]);

    api.declare("linked", &running(2)).await.unwrap();
    api.working("linked").await;
    api.declare("pairing", &pairing(2, 2, None)).await.unwrap();
    api.qr("pairing").await;
}
