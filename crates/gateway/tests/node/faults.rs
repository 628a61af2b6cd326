//! What goes wrong: panics, hangs, lost answers, and killed nodes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use gateway::{Node, Wire};
use gateway_protocol::{LogoutOutcome, Snapshot, Status};
use wacore::net::{Transport, TransportEvent, TransportFactory};
use whatsapp_rust::async_channel::Receiver;
use whatsapp_sim::{Config, Fault};

use crate::{
    binary,
    world::{Api, PATIENCE, World, pairing, running, settings, stopped, why},
};

/// Sockets that go wrong for sessions named after what goes wrong, the first time.
struct Troubled {
    inner: Arc<dyn Wire>,
    made: AtomicUsize,
}

enum Trouble {
    Panics,
    Hangs,
}

impl Troubled {
    fn wire(inner: Arc<dyn Wire>) -> Arc<dyn Wire> {
        Arc::new(Self { inner, made: AtomicUsize::new(0) })
    }
}

impl Wire for Troubled {
    fn sockets(&self, session: &str) -> Arc<dyn TransportFactory> {
        let first = |kind| session == kind && self.made.fetch_add(1, Ordering::SeqCst) == 0;
        assert!(!first("panics_early"), "while a connection is made");
        if first("panics") {
            return Arc::new(Trouble::Panics);
        }
        if session == "hangs" {
            return Arc::new(Trouble::Hangs);
        }
        self.inner.sockets(session)
    }
}

#[async_trait]
impl TransportFactory for Trouble {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        match self {
            Self::Panics => panic!("inside the engine"),
            Self::Hangs => std::future::pending().await,
        }
    }
}

async fn a_panic_is_that_sessions_alone(troubled: &str) {
    let world = World::with(Config::default(), 10, Troubled::wire).await;
    let (api, phone) = (&world.api, world.whatsapp.add_phone("15550000020", "Pa").unwrap());
    let before = world.linked("healthy", &phone).await;
    api.declare(troubled, &pairing(1, 1, None)).await.unwrap();
    let failed = api.status(troubled, Status::Failed).await;
    assert_eq!(why(&failed), "crashed");
    assert_eq!(api.view("healthy").await.unwrap(), before);
    assert!(api.identity("healthy").await.unwrap().connected);
    assert!(!api.identity(troubled).await.unwrap().connected);
    assert_eq!(why(&api.view(troubled).await.unwrap()), "crashed", "looking changes nothing");

    api.declare(troubled, &pairing(1, 1, None)).await.unwrap();
    api.qr(troubled).await;
    world
        .router
        .until("told", |heard| {
            heard.reports.iter().any(|s| s.session == troubled && why(s) == "crashed")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_inside_the_engine_is_that_sessions_alone() {
    a_panic_is_that_sessions_alone("panics").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_while_a_connection_is_made_is_that_sessions_alone() {
    a_panic_is_that_sessions_alone("panics_early").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_connection_does_not_keep_a_session_from_being_stopped_or_forgotten() {
    let world = World::with(Config::default(), 10, Troubled::wire).await;
    let api = &world.api;
    api.declare("hangs", &pairing(1, 1, None)).await.unwrap();
    let stop = api.declare("hangs", &stopped(2)).await.unwrap();
    assert_eq!(stop.status, Status::Stopped);
    api.declare("hangs", &pairing(3, 3, None)).await.unwrap();
    let out = api.logout("hangs", 4, PATIENCE).await.unwrap();
    assert_eq!(out.outcome, LogoutOutcome::NotLinked);
    api.declare("hangs", &pairing(5, 5, None)).await.unwrap();
    api.forget("hangs", 6).await.unwrap();
    assert_eq!(world.on_disk(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_without_an_answer_is_not_known_and_can_be_repeated() {
    let world = World::new().await;
    let (api, phone) = (&world.api, world.whatsapp.add_phone("15550000021", "Lo").unwrap());
    world.linked("s1", &phone).await;
    world.whatsapp.faults().next_logout(Fault::Swallow);
    let out = api.logout("s1", 2, Duration::from_millis(500)).await.unwrap();
    assert_eq!(out.outcome, LogoutOutcome::Unconfirmed);
    assert!(out.snapshot.identity.is_some());
    assert_eq!(phone.devices().len(), 1);
    assert_eq!(world.on_disk(), ["s1"], "the keys stay");
    api.declare("s1", &stopped(3)).await.unwrap();
    let out = api.logout("s1", 4, PATIENCE / 2).await.unwrap();
    assert_eq!(out.outcome, LogoutOutcome::Confirmed);
    assert!(phone.devices().is_empty());
    assert_eq!(world.on_disk(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_whose_answer_is_lost_is_found_out_at_the_next_login() {
    let world = World::new().await;
    let (api, phone) = (&world.api, world.whatsapp.add_phone("15550000022", "Li").unwrap());
    world.linked("s1", &phone).await;
    world.whatsapp.faults().next_logout(Fault::LoseAnswer);
    let out = api.logout("s1", 2, PATIENCE / 2).await.unwrap();
    assert_eq!((out.outcome, why(&out.snapshot)), (LogoutOutcome::Confirmed, "logged_out_by_user"));
    assert!(phone.devices().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_that_is_refused_once_is_asked_again_in_time() {
    let world = World::new().await;
    let (api, phone) = (&world.api, world.whatsapp.add_phone("15550000023", "La").unwrap());
    world.linked("s1", &phone).await;
    world.whatsapp.faults().next_logout(Fault::Refuse(500));
    let out = api.logout("s1", 2, PATIENCE / 2).await.unwrap();
    assert_eq!(out.outcome, LogoutOutcome::Confirmed);
    assert!(phone.devices().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_again_holds_its_sessions_and_connects_only_when_told() {
    let mut world = World::new().await;
    let phone = world.whatsapp.add_phone("15550000024", "Re").unwrap();
    let before = world.linked("s1", &phone).await;
    world.node.take().unwrap().stop().await;
    assert!(phone.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    world.router.heard().beats.clear();

    let again = settings(world.data.path(), &world.router.url, &world.whatsapp.url(), 10);
    let node = Node::start(again).await.unwrap();
    let api = Api::new(node.address());
    let held = |s: &Snapshot| s.identity == before.identity;
    let idle = api.until("s1", "known by its keys", held).await;
    assert_eq!((idle.status, idle.epoch), (Status::Stopped, 0));
    world
        .router
        .until("held", |h| h.beats.iter().any(|b| b.held.iter().any(|x| x.session == "s1")))
        .await;
    assert!(!phone.devices()[0].connected);

    let told = api.declare("s1", &running(2)).await.unwrap();
    assert_eq!(told.boot, 2);
    let works = api.working("s1").await;
    assert_eq!(works.identity, before.identity);
    assert!(phone.wait_connected(1, PATIENCE).await);
    node.stop().await;
}

/// Killed at the very moment the phone shows the device: what the phone holds linked, the node must
/// still have the keys of.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_the_phone_shows_survives_a_kill() {
    let mut world = World::new().await;
    world.node.take().unwrap().stop().await;
    for round in 0_u32..3 {
        let session = format!("s{round}");
        let phone = world.whatsapp.add_phone(&format!("1555000003{round}"), "Ki").unwrap();
        let mut node = Process::start(&world).await;
        node.api.declare(&session, &pairing(1, 1, None)).await.unwrap();
        let qr = node.api.qr(&session).await;
        let device = phone.scan(&qr).await.unwrap();
        node.kill();

        let mut node = Process::start(&world).await;
        node.api.declare(&session, &pairing(1, 1, None)).await.unwrap();
        let works = node.api.working(&session).await;
        assert_eq!(works.identity.map(|who| who.device), Some(device.id));
        assert!(phone.wait_connected(1, PATIENCE).await);
        node.kill();
    }
}

/// The program, running.
struct Process {
    child: std::process::Child,
    api: Api,
}

impl Process {
    async fn start(world: &World) -> Self {
        let boot = world.router.heard().boot;
        let url = world.whatsapp.url();
        let mut child =
            binary::program(world.data.path(), &world.router.url, Some(&url)).spawn().unwrap();
        world.router.until("enlisted", |heard| heard.boot > boot).await;
        let address = world.router.heard().enlisted.last().unwrap().address.clone();
        let address: SocketAddr = address.strip_prefix("http://").unwrap().parse().unwrap();
        let api = Api::new(address);
        // What it says is read, lest it waits for that.
        let mut said = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        until_enlisted(&api).await;
        Self { child, api }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn until_enlisted(api: &Api) {
    crate::world::until("takes commands", || async {
        api.logout("nobody", 1, PATIENCE).await.ok()
    })
    .await;
}
