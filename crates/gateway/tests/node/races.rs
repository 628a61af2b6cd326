//! A phone links at the moment at which its session is stopped, logged out, forgotten or released.
//! The answer must agree with the phone.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use gateway::TransportProvider;
use gateway_protocol::{LogoutOutcome, RefusalCode, Status};
use wacore::net::{Transport, TransportEvent, TransportFactory};
use whatsapp_rust::async_channel;
use whatsapp_sim::{Config, Phone};

use crate::{
    fixture::{NodeFixture, pairing, stopped},
    wait::{PATIENCE, until},
};

/// Every transport that was opened.
type OpenTransports = Arc<Mutex<Vec<Arc<dyn Transport>>>>;

/// A transport provider whose transports can be closed by the test.
struct ClosableProvider {
    inner: Arc<dyn TransportProvider>,
    opened: OpenTransports,
}

struct ClosableTransportFactory {
    inner: Arc<dyn TransportFactory>,
    opened: OpenTransports,
}

impl TransportProvider for ClosableProvider {
    fn transport_factory(&self, session: &str) -> Arc<dyn TransportFactory> {
        let (inner, opened) = (self.inner.transport_factory(session), self.opened.clone());
        Arc::new(ClosableTransportFactory { inner, opened })
    }
}

#[async_trait::async_trait]
impl TransportFactory for ClosableTransportFactory {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, async_channel::Receiver<TransportEvent>)> {
        let (socket, events) = self.inner.create_transport().await?;
        self.opened.lock().unwrap().push(socket.clone());
        Ok((socket, events))
    }
}

/// The number of runs of each race.
const RUNS: usize = 12;

/// Waits for a QR code, lets the phone scan it, and continues after `yields` yields of the runtime.
async fn start_race(
    fixture: &NodeFixture,
    session: &str,
    phone: &Phone,
    yields: usize,
) -> tokio::task::JoinHandle<()> {
    fixture.api.declare(session, &pairing(1, 1, None)).await.unwrap();
    let (qr, phone) = (fixture.api.qr(session).await, phone.clone());
    let scan = tokio::spawn(async move { drop(phone.scan(&qr).await) });
    for _ in 0..yields {
        tokio::task::yield_now().await;
    }
    scan
}

/// Runs a race with growing delays between the scan and the action.
async fn for_each_race<R>(prefix: &str, race: impl Fn(NodeFixture, String, Phone, usize) -> R)
where
    R: Future<Output = NodeFixture>,
{
    let mut fixture = NodeFixture::new().await;
    for run in 0..RUNS {
        let number = format!("1555000{prefix}{run:02}");
        let phone = fixture.whatsapp.add_phone(&number, "Race").unwrap();
        fixture = race(fixture, format!("s{run}"), phone, run * run * 40).await;
    }
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_answered_not_linked_leaves_no_device() {
    for_each_race("61", |fixture, session, phone, yields| async move {
        let scan = start_race(&fixture, &session, &phone, yields).await;
        let out = fixture.api.logout(&session, 2, PATIENCE).await.unwrap();
        scan.await.unwrap();
        assert_ne!(out.outcome, LogoutOutcome::Unconfirmed);
        assert!(phone.devices().is_empty(), "{:?}, and linked: {:?}", out.outcome, phone.devices());
        assert_eq!(out.snapshot.identity, None);
        fixture
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_without_an_identity_leaves_no_device() {
    for_each_race("62", |fixture, session, phone, yields| async move {
        let scan = start_race(&fixture, &session, &phone, yields).await;
        let reports = fixture.api.declare(&session, &stopped(2)).await.unwrap();
        scan.await.unwrap();
        assert_eq!(reports.status, Status::Stopped);
        assert_eq!(reports.identity.is_some(), !phone.devices().is_empty(), "{reports:?}");
        fixture
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forget_is_refused_while_a_device_is_linked() {
    for_each_race("63", |fixture, session, phone, yields| async move {
        let scan = start_race(&fixture, &session, &phone, yields).await;
        match fixture.api.forget(&session, 2).await {
            Ok(()) => {
                scan.await.unwrap();
                assert!(phone.devices().is_empty(), "forgotten, but still linked");
            }
            Err(refusal) => {
                assert_eq!(refusal.code, RefusalCode::StillLinked);
                scan.await.unwrap();
                assert_eq!(phone.devices().len(), 1);
                let out = fixture.api.logout(&session, 3, PATIENCE).await.unwrap();
                assert_eq!(out.outcome, LogoutOutcome::Confirmed);
                assert!(phone.devices().is_empty());
                fixture.api.forget(&session, 4).await.unwrap();
            }
        }
        assert!(fixture.api.view(&session).await.is_err());
        fixture
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn released_session_linked_meanwhile_keeps_its_keys() {
    for_each_race("64", |fixture, session, phone, yields| async move {
        let scan = start_race(&fixture, &session, &phone, yields).await;
        fixture.router.state().lost = vec![session.clone()];
        until("session closed", || async {
            match fixture.api.view(&session).await {
                Ok(shown) if shown.status == Status::Stopped => Some(()),
                Ok(_) => None,
                Err(_) => Some(()),
            }
        })
        .await;
        scan.await.unwrap();
        let linked = fixture.api.view(&session).await.is_ok_and(|shown| shown.identity.is_some());
        assert_eq!(linked, !phone.devices().is_empty());
        assert_eq!(linked, fixture.sessions_with_keys().contains(&session));
        fixture
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pairing_code_ends_with_its_connection_and_is_requested_again() {
    let sockets = OpenTransports::default();
    let opened = sockets.clone();
    let fixture = NodeFixture::with(Config::default(), 10, |inner| {
        Arc::new(ClosableProvider { inner, opened })
    })
    .await;
    let (api, phone) = (&fixture.api, fixture.whatsapp.add_phone("15550006501", "Co").unwrap());
    api.declare("s1", &pairing(1, 1, Some("15550006501"))).await.unwrap();
    let code = |shown: &gateway_protocol::Snapshot| {
        shown.pairing.as_ref().and_then(|attempt| attempt.code.as_ref()).map(|c| c.code.clone())
    };
    let first = until("a pairing code", || async { code(&api.view("s1").await.unwrap()) }).await;
    let open = std::mem::take(&mut *sockets.lock().unwrap());
    for socket in open {
        socket.disconnect().await;
    }
    let second = until("another pairing code", || async {
        code(&api.view("s1").await.unwrap()).filter(|code| *code != first)
    })
    .await;
    phone.enter_code(&second).await.unwrap();
    api.working("s1").await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_waiting_to_link_reports_the_reason() {
    let fixture = NodeFixture::new().await;
    let api = &fixture.api;
    for n in 0..8 {
        let session = format!("s{n}");
        api.declare(&session, &pairing(1, 1, None)).await.unwrap();
        api.qr(&session).await;
    }
    api.declare("late", &pairing(1, 1, None)).await.unwrap();
    let waits = until("waiting reported", || async {
        let shown = api.view("late").await.unwrap();
        shown.reason.clone().map(|reason| (shown.status, reason.code))
    })
    .await;
    assert_eq!(waits, (Status::Starting, gateway_protocol::reason::WAITING_TO_LINK.to_owned()));
    let other =
        gateway_protocol::Declaration { group: Some("another".into()), ..pairing(1, 1, None) };
    api.declare("other", &other).await.unwrap();
    api.qr("other").await;
    // The other session took the reserve: two sessions must stop before a permit is free.
    for session in ["s0", "s1"] {
        api.declare(session, &stopped(2)).await.unwrap();
    }
    api.qr("late").await;
    tokio::time::timeout(Duration::from_secs(30), fixture.end()).await.unwrap();
}
