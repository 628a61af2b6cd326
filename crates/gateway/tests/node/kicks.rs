//! What WhatsApp and phones do to a session, and what is told of it.

use gateway_protocol::{Declaration, Snapshot, Status};
use whatsapp_sim::{Kick, Phone};

use crate::world::{PATIENCE, World, pairing, running, stopped, why};

async fn world_with_a_link() -> (World, Phone, u32) {
    let world = World::new().await;
    let phone = world.whatsapp.add_phone("15550000010", "Kay").unwrap();
    let works = world.linked("s1", &phone).await;
    let device = works.identity.unwrap().device;
    assert!(phone.wait_connected(1, PATIENCE).await);
    (world, phone, device)
}

fn restarted(epoch: u64) -> Declaration {
    Declaration { restarts: epoch, ..running(epoch) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_unlinked_on_the_phone_leaves_no_keys_and_can_be_paired_again() {
    let (world, phone, device) = world_with_a_link().await;
    phone.unlink(device).unwrap();
    let out = world.api.status("s1", Status::Failed).await;
    assert_eq!((why(&out), out.identity.as_ref()), ("logged_out_by_phone", None));
    assert_eq!(world.on_disk(), Vec::<String>::new());

    let same = world.api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    assert_eq!(why(&same), "logged_out_by_phone", "the attempt that linked it is over");
    let idle = world.api.declare("s1", &running(2)).await.unwrap();
    assert_eq!(why(&idle), "logged_out_by_phone");

    world.api.declare("s1", &pairing(3, 3, None)).await.unwrap();
    phone.scan(&world.api.qr("s1").await).await.unwrap();
    let works = world.api.working("s1").await;
    assert_eq!(works.reason, None);
    assert!(phone.wait_connected(1, PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_unlinked_while_away_is_found_out_when_it_comes_back() {
    let (world, phone, device) = world_with_a_link().await;
    world.api.declare("s1", &stopped(2)).await.unwrap();
    assert!(phone.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    phone.unlink(device).unwrap();
    world.api.declare("s1", &running(3)).await.unwrap();
    let out = world.api.status("s1", Status::Failed).await;
    assert_eq!(why(&out), "logged_out_by_phone");
    let stop = world.api.declare("s1", &stopped(4)).await.unwrap();
    assert_eq!((stop.status, stop.reason), (Status::Stopped, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_session_waits_for_a_restart() {
    let (world, phone, device) = world_with_a_link().await;
    phone.kick(device, Kick::Replaced).unwrap();
    let failed = world.api.status("s1", Status::Failed).await;
    assert_eq!(why(&failed), "replaced");
    assert!(failed.identity.is_some());
    let same = world.api.declare("s1", &running(2)).await.unwrap();
    assert_eq!(same.status, Status::Failed, "the wish alone does not take the device back");
    world.api.declare("s1", &restarted(3)).await.unwrap();
    assert_eq!(world.api.working("s1").await.reason, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_says_until_when() {
    let (world, phone, device) = world_with_a_link().await;
    phone.kick(device, Kick::Banned).unwrap();
    let failed = world.api.status("s1", Status::Failed).await;
    assert_eq!(why(&failed), "banned");
    let ends = failed.reason.unwrap().retry_at.unwrap();
    assert!(ends > failed.at && ends <= failed.at + 3_600_000, "{ends}");

    phone.pardon(device).unwrap();
    world.api.declare("s1", &stopped(2)).await.unwrap();
    world.api.declare("s1", &running(3)).await.unwrap();
    world.api.working("s1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outdated_client_is_told_so() {
    let (world, phone, device) = world_with_a_link().await;
    phone.kick(device, Kick::Outdated).unwrap();
    let failed = world.api.status("s1", Status::Failed).await;
    assert_eq!(why(&failed), "client_outdated");
}

/// The session goes on by itself, and a short interruption is nobody's business.
async fn comes_back_unnoticed(kick: Kick) {
    let (world, phone, device) = world_with_a_link().await;
    let before = world.api.view("s1").await.unwrap();
    phone.kick(device, kick).unwrap();
    let away = |phone: &Phone| !phone.devices()[0].connected;
    assert!(away(&phone) || phone.wait_for(PATIENCE, away).await);
    assert!(phone.wait_connected(1, PATIENCE).await);
    let working = |s: &Snapshot| s.status == Status::Working;
    let told: Vec<_> =
        world.router.told_of("s1").into_iter().filter(|s| s.seq > before.seq).collect();
    assert!(told.iter().all(working) || kick == Kick::Unavailable, "{told:?}");
    world.api.working("s1").await;
    assert!(told.iter().all(|s| s.status != Status::Failed), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection_comes_back_without_a_word() {
    comes_back_unnoticed(Kick::Close).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_whatsapp_is_waited_for() {
    comes_back_unnoticed(Kick::Unavailable).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whatsapp_that_stays_away_is_told_and_waited_for() {
    let (world, phone, device) = world_with_a_link().await;
    let address = world.whatsapp.address();
    world.whatsapp.stop().await;
    drop(phone);
    let slow = world.api.status("s1", Status::Starting).await;
    assert_eq!(why(&slow), "connect_failed");
    assert_eq!(slow.identity.map(|who| who.device), Some(device));
    assert!(address.ip().is_loopback());
    let stop = world.api.declare("s1", &stopped(2)).await.unwrap();
    assert_eq!((stop.status, stop.reason), (Status::Stopped, None));
}
