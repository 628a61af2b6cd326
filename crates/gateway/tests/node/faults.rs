//! Faults: panics, hangs, lost answers, and killed nodes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use gateway::{Node, TransportProvider};
use gateway_protocol::{LogoutOutcome, Snapshot, Status};
use wacore::net::{Transport, TransportEvent, TransportFactory};
use whatsapp_rust::async_channel::Receiver;
use whatsapp_sim::{Config, Fault};

use crate::{
    fixture::{Api, NodeFixture, pairing, reason_code, running, settings, stopped},
    program,
    wait::PATIENCE,
};

/// A transport provider that fails for sessions named after a fault; panics happen once.
struct FaultyProvider {
    inner: Arc<dyn TransportProvider>,
    failures: AtomicUsize,
}

enum TransportFault {
    Panics,
    Hangs,
}

impl FaultyProvider {
    fn wrap(inner: Arc<dyn TransportProvider>) -> Arc<dyn TransportProvider> {
        Arc::new(Self { inner, failures: AtomicUsize::new(0) })
    }
}

impl TransportProvider for FaultyProvider {
    fn transport_factory(&self, session: &str) -> Arc<dyn TransportFactory> {
        let first = |kind| session == kind && self.failures.fetch_add(1, Ordering::SeqCst) == 0;
        assert!(!first("panics_early"), "while connecting");
        if first("panics") {
            return Arc::new(TransportFault::Panics);
        }
        if session == "hangs" {
            return Arc::new(TransportFault::Hangs);
        }
        self.inner.transport_factory(session)
    }
}

#[async_trait]
impl TransportFactory for TransportFault {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        match self {
            Self::Panics => panic!("inside the engine"),
            Self::Hangs => std::future::pending().await,
        }
    }
}

async fn check_panic_is_contained(faulty: &str) {
    let fixture = NodeFixture::with(Config::default(), 10, FaultyProvider::wrap).await;
    let (api, phone) = (&fixture.api, fixture.whatsapp.add_phone("15550000020", "Pa").unwrap());
    let before = fixture.linked("healthy", &phone).await;
    api.declare(faulty, &pairing(1, 1, None)).await.unwrap();
    let failed = api.status(faulty, Status::Failed).await;
    assert_eq!(reason_code(&failed), "crashed");
    assert_eq!(api.view("healthy").await.unwrap(), before);
    assert!(api.identity("healthy").await.unwrap().connected);
    assert!(!api.identity(faulty).await.unwrap().connected);
    assert_eq!(reason_code(&api.view(faulty).await.unwrap()), "crashed", "a read changes no state");

    api.declare(faulty, &pairing(1, 1, None)).await.unwrap();
    api.qr(faulty).await;
    fixture
        .router
        .until("crash reported", |state| {
            state.reports.iter().any(|s| s.session == faulty && reason_code(s) == "crashed")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn panic_inside_the_engine_affects_one_session() {
    check_panic_is_contained("panics").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn panic_while_connecting_affects_one_session() {
    check_panic_is_contained("panics_early").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_connection_does_not_block_stop_and_forget() {
    let fixture = NodeFixture::with(Config::default(), 10, FaultyProvider::wrap).await;
    let api = &fixture.api;
    api.declare("hangs", &pairing(1, 1, None)).await.unwrap();
    let stop = api.declare("hangs", &stopped(2)).await.unwrap();
    assert_eq!(stop.status, Status::Stopped);
    api.declare("hangs", &pairing(3, 3, None)).await.unwrap();
    let out = api.logout("hangs", 4, PATIENCE).await.unwrap();
    assert_eq!(out.outcome, LogoutOutcome::NotLinked);
    api.declare("hangs", &pairing(5, 5, None)).await.unwrap();
    api.forget("hangs", 6).await.unwrap();
    assert_eq!(fixture.sessions_with_keys(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn unanswered_logout_is_unconfirmed_and_can_be_repeated() {
    let fixture = NodeFixture::new().await;
    let (api, phone) = (&fixture.api, fixture.whatsapp.add_phone("15550000021", "Lo").unwrap());
    fixture.linked("s1", &phone).await;
    fixture.whatsapp.faults().next_logout(Fault::Swallow);
    let out = api.logout("s1", 2, Duration::from_millis(500)).await.unwrap();
    assert_eq!(out.outcome, LogoutOutcome::Unconfirmed);
    assert!(out.snapshot.identity.is_some());
    assert_eq!(phone.devices().len(), 1);
    assert_eq!(fixture.sessions_with_keys(), ["s1"], "the keys remain");
    api.declare("s1", &stopped(3)).await.unwrap();
    let out = api.logout("s1", 4, PATIENCE / 2).await.unwrap();
    assert_eq!(out.outcome, LogoutOutcome::Confirmed);
    assert!(phone.devices().is_empty());
    assert_eq!(fixture.sessions_with_keys(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_with_a_lost_answer_is_confirmed_at_the_next_login() {
    let fixture = NodeFixture::new().await;
    let (api, phone) = (&fixture.api, fixture.whatsapp.add_phone("15550000022", "Li").unwrap());
    fixture.linked("s1", &phone).await;
    fixture.whatsapp.faults().next_logout(Fault::LoseAnswer);
    let out = api.logout("s1", 2, PATIENCE / 2).await.unwrap();
    assert_eq!(
        (out.outcome, reason_code(&out.snapshot)),
        (LogoutOutcome::Confirmed, "logged_out_by_user")
    );
    assert!(phone.devices().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_logout_is_retried_within_the_deadline() {
    let fixture = NodeFixture::new().await;
    let (api, phone) = (&fixture.api, fixture.whatsapp.add_phone("15550000023", "La").unwrap());
    fixture.linked("s1", &phone).await;
    fixture.whatsapp.faults().next_logout(Fault::Refuse(500));
    let out = api.logout("s1", 2, PATIENCE / 2).await.unwrap();
    assert_eq!(out.outcome, LogoutOutcome::Confirmed);
    assert!(phone.devices().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_node_holds_its_sessions_and_connects_when_declared() {
    let mut fixture = NodeFixture::new().await;
    let phone = fixture.whatsapp.add_phone("15550000024", "Re").unwrap();
    let before = fixture.linked("s1", &phone).await;
    fixture.node.take().unwrap().stop().await;
    assert!(phone.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    fixture.router.state().heartbeats.clear();

    let again = settings(fixture.data.path(), &fixture.router.url, &fixture.whatsapp.url(), 10);
    let node = Node::start(again).await.unwrap();
    let api = Api::new(node.address());
    let held = |s: &Snapshot| s.identity == before.identity;
    let idle = api.until("s1", "identity read from the keys", held).await;
    assert_eq!((idle.status, idle.epoch), (Status::Stopped, 0));
    fixture
        .router
        .until("held", |h| h.heartbeats.iter().any(|b| b.held.iter().any(|x| x.session == "s1")))
        .await;
    assert!(!phone.devices()[0].connected);

    let reports = api.declare("s1", &running(2)).await.unwrap();
    assert_eq!(reports.generation, 2);
    let works = api.working("s1").await;
    assert_eq!(works.identity, before.identity);
    assert!(phone.wait_connected(1, PATIENCE).await);
    node.stop().await;
}

/// The node is killed when the phone shows the device. The node must then have the keys of the
/// device.
#[tokio::test(flavor = "multi_thread")]
async fn link_on_the_phone_survives_a_kill() {
    let mut fixture = NodeFixture::new().await;
    fixture.node.take().unwrap().stop().await;
    for round in 0_u32..3 {
        let session = format!("s{round}");
        let phone = fixture.whatsapp.add_phone(&format!("1555000003{round}"), "Ki").unwrap();
        let mut node = Process::start(&fixture).await;
        node.api.declare(&session, &pairing(1, 1, None)).await.unwrap();
        let qr = node.api.qr(&session).await;
        let device = phone.scan(&qr).await.unwrap();
        node.kill();

        let mut node = Process::start(&fixture).await;
        node.api.declare(&session, &pairing(1, 1, None)).await.unwrap();
        let works = node.api.working(&session).await;
        assert_eq!(works.identity.map(|who| who.device), Some(device.id));
        assert!(phone.wait_connected(1, PATIENCE).await);
        node.kill();
    }
}

/// The running program.
struct Process {
    child: std::process::Child,
    api: Api,
}

impl Process {
    async fn start(fixture: &NodeFixture) -> Self {
        let generation = fixture.router.state().generation;
        let url = fixture.whatsapp.url();
        let mut child =
            program::program(fixture.data.path(), &fixture.router.url, Some(&url)).spawn().unwrap();
        fixture.router.until("registered", |state| state.generation > generation).await;
        let address = fixture.router.state().registrations.last().unwrap().address.clone();
        let address: SocketAddr = address.strip_prefix("http://").unwrap().parse().unwrap();
        let api = Api::new(address);
        // Reads standard error, so that the program does not block on writing.
        let mut output = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        until_registered(&api).await;
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

async fn until_registered(api: &Api) {
    crate::wait::until("commands are accepted", || async {
        api.logout("nobody", 1, PATIENCE).await.ok()
    })
    .await;
}
