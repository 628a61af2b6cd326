//! A phone links at the very moment at which its session is stopped, logged out, forgotten or given
//! away: whatever is answered is so on the phone.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use gateway::Wire;
use gateway_protocol::{LogoutOutcome, RefusalCode, Status};
use wacore::net::{Transport, TransportEvent, TransportFactory};
use whatsapp_rust::async_channel;
use whatsapp_sim::{Config, Phone};

use crate::world::{PATIENCE, World, pairing, stopped, until};

/// Every socket that was opened.
type Sockets = Arc<Mutex<Vec<Arc<dyn Transport>>>>;

/// A way to WhatsApp whose sockets can be closed from outside.
struct Cuttable {
    inner: Arc<dyn Wire>,
    wire: Sockets,
}

struct CuttableSockets {
    inner: Arc<dyn TransportFactory>,
    wire: Sockets,
}

impl Wire for Cuttable {
    fn sockets(&self, session: &str) -> Arc<dyn TransportFactory> {
        let (inner, wire) = (self.inner.sockets(session), self.wire.clone());
        Arc::new(CuttableSockets { inner, wire })
    }
}

#[async_trait::async_trait]
impl TransportFactory for CuttableSockets {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, async_channel::Receiver<TransportEvent>)> {
        let (socket, events) = self.inner.create_transport().await?;
        self.wire.lock().unwrap().push(socket.clone());
        Ok((socket, events))
    }
}

/// How often each race is run.
const RUNS: usize = 12;

/// Shows a code, lets the phone scan it, and goes on as many turns of the runtime later.
async fn raced(
    world: &World,
    session: &str,
    phone: &Phone,
    turns: usize,
) -> tokio::task::JoinHandle<()> {
    world.api.declare(session, &pairing(1, 1, None)).await.unwrap();
    let (qr, phone) = (world.api.qr(session).await, phone.clone());
    let scan = tokio::spawn(async move { drop(phone.scan(&qr).await) });
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
    scan
}

/// Sessions whose phone scans sooner and sooner before what is done to them.
async fn for_each_race<R>(prefix: &str, race: impl Fn(World, String, Phone, usize) -> R)
where
    R: Future<Output = World>,
{
    let mut world = World::new().await;
    for run in 0..RUNS {
        let number = format!("1555000{prefix}{run:02}");
        let phone = world.whatsapp.add_phone(&number, "Race").unwrap();
        world = race(world, format!("s{run}"), phone, run * run * 40).await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_that_says_not_linked_leaves_no_device() {
    for_each_race("61", |world, session, phone, turns| async move {
        let scan = raced(&world, &session, &phone, turns).await;
        let out = world.api.logout(&session, 2, PATIENCE).await.unwrap();
        scan.await.unwrap();
        assert_ne!(out.outcome, LogoutOutcome::Unconfirmed);
        assert!(phone.devices().is_empty(), "{:?}, and linked: {:?}", out.outcome, phone.devices());
        assert_eq!(out.snapshot.identity, None);
        world
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_that_shows_no_identity_leaves_no_device() {
    for_each_race("62", |world, session, phone, turns| async move {
        let scan = raced(&world, &session, &phone, turns).await;
        let told = world.api.declare(&session, &stopped(2)).await.unwrap();
        scan.await.unwrap();
        assert_eq!(told.status, Status::Stopped);
        assert_eq!(told.identity.is_some(), !phone.devices().is_empty(), "{told:?}");
        world
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forget_refuses_while_a_device_is_linked_after_all() {
    for_each_race("63", |world, session, phone, turns| async move {
        let scan = raced(&world, &session, &phone, turns).await;
        match world.api.forget(&session, 2).await {
            Ok(()) => {
                scan.await.unwrap();
                assert!(phone.devices().is_empty(), "forgotten, and linked");
            }
            Err(refusal) => {
                assert_eq!(refusal.code, RefusalCode::StillLinked);
                scan.await.unwrap();
                assert_eq!(phone.devices().len(), 1);
                let out = world.api.logout(&session, 3, PATIENCE).await.unwrap();
                assert_eq!(out.outcome, LogoutOutcome::Confirmed);
                assert!(phone.devices().is_empty());
                world.api.forget(&session, 4).await.unwrap();
            }
        }
        assert!(world.api.view(&session).await.is_err());
        world
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn released_session_that_was_linked_meanwhile_keeps_its_keys() {
    for_each_race("64", |world, session, phone, turns| async move {
        let scan = raced(&world, &session, &phone, turns).await;
        world.router.heard().lost = vec![session.clone()];
        until("it is closed", || async {
            match world.api.view(&session).await {
                Ok(shown) if shown.status == Status::Stopped => Some(()),
                Ok(_) => None,
                Err(_) => Some(()),
            }
        })
        .await;
        scan.await.unwrap();
        let kept = world.api.view(&session).await.is_ok_and(|shown| shown.identity.is_some());
        assert_eq!(kept, !phone.devices().is_empty());
        assert_eq!(kept, world.on_disk().contains(&session));
        world
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pairing_code_goes_with_its_connection_and_is_asked_for_anew() {
    let sockets = Sockets::default();
    let wire = sockets.clone();
    let world =
        World::with(Config::default(), 10, |inner| Arc::new(Cuttable { inner, wire })).await;
    let (api, phone) = (&world.api, world.whatsapp.add_phone("15550006501", "Co").unwrap());
    api.declare("s1", &pairing(1, 1, Some("15550006501"))).await.unwrap();
    let code = |shown: &gateway_protocol::Snapshot| {
        shown.pairing.as_ref().and_then(|attempt| attempt.code.as_ref()).map(|c| c.code.clone())
    };
    let first = until("a code", || async { code(&api.view("s1").await.unwrap()) }).await;
    let open = std::mem::take(&mut *sockets.lock().unwrap());
    for socket in open {
        socket.disconnect().await;
    }
    let second = until("another code", || async {
        code(&api.view("s1").await.unwrap()).filter(|code| *code != first)
    })
    .await;
    phone.enter_code(&second).await.unwrap();
    api.working("s1").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_waits_for_its_turn_to_link_says_so() {
    let world = World::new().await;
    let api = &world.api;
    for n in 0..8 {
        let session = format!("s{n}");
        api.declare(&session, &pairing(1, 1, None)).await.unwrap();
        api.qr(&session).await;
    }
    api.declare("late", &pairing(1, 1, None)).await.unwrap();
    let waits = until("it waits", || async {
        let shown = api.view("late").await.unwrap();
        shown.reason.clone().map(|reason| (shown.status, reason.code))
    })
    .await;
    assert_eq!(waits, (Status::Starting, gateway_protocol::reason::WAITING_TO_LINK.to_owned()));
    let other =
        gateway_protocol::Declaration { group: Some("another".into()), ..pairing(1, 1, None) };
    api.declare("other", &other).await.unwrap();
    api.qr("other").await;
    // The other's turn was one of a reserve: two must go before there is room again.
    for session in ["s0", "s1"] {
        api.declare(session, &stopped(2)).await.unwrap();
    }
    api.qr("late").await;
    tokio::time::timeout(Duration::from_secs(30), world.end()).await.unwrap();
}
