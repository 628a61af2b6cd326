//! Suite of [`SessionControl`], passed by the fake gateway and by a real node with a simulator.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    gateway::node::Node,
    id::SessionId,
    ports::{
        environment::Environment,
        session_control::{GatewayError, SessionControl},
    },
    session::{
        observed::Snapshot, pairing::PairingSpec, spec::Declaration, status::Status,
        unlink::LogoutOutcome,
    },
    testing::notifier::TestPause,
};

/// The gateway under test with a node and the WhatsApp side.
#[async_trait]
pub trait GatewayUnderTest: Send + Sync {
    /// Returns the port.
    fn control(&self) -> &dyn SessionControl;
    /// Returns the node that gets the commands.
    fn node(&self) -> &Node;
    /// Returns the id generator.
    fn environment(&self) -> &dyn Environment;
    /// Lets time pass.
    fn time(&self) -> &dyn TestPause;
    /// Lets a phone scan a QR code.
    async fn scan(&self, qr: &str);
    /// Returns the number of devices that the phones show as linked.
    async fn linked_devices(&self) -> usize;
}

/// Number of polls for a state.
const MAX_POLLS: u32 = 600;
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(10);

/// A session pairs by QR code, reports its device, stops and starts with the link kept, unlinks,
/// and reports that no device is left.
pub async fn declared_session_pairs_connects_stops_and_unlinks(gateway: &dyn GatewayUnderTest) {
    let session = SessionId::from_bits(gateway.environment().ulid());
    let before = gateway.linked_devices().await;
    pair(gateway, &session, 1).await;
    assert_eq!(gateway.linked_devices().await, before + 1);

    let live = gateway.control().identity(gateway.node(), &session).await.expect("identity");
    assert!(live.connected);
    assert!(live.identity.is_some());

    let stopped = until(gateway, &session, &plain(2, false), Status::Stopped).await;
    assert!(stopped.identity.is_some(), "a stopped session stays linked");
    let started = until(gateway, &session, &plain(3, true), Status::Working).await;
    assert!((started.generation, started.seq) > (stopped.generation, stopped.seq));
    let restarted = Declaration { restarts: 1, ..plain(4, true) };
    until(gateway, &session, &restarted, Status::Working).await;

    let (outcome, after) = gateway
        .control()
        .logout(gateway.node(), &session, 5, true, DEADLINE)
        .await
        .expect("logout");
    assert_eq!(outcome, LogoutOutcome::Confirmed);
    assert_eq!((after.status, after.identity, after.epoch), (Status::Stopped, None, 5));
    assert_eq!(gateway.linked_devices().await, before);
    let (again, _) = gateway
        .control()
        .logout(gateway.node(), &session, 5, true, DEADLINE)
        .await
        .expect("logout");
    assert_eq!(again, LogoutOutcome::Confirmed, "the same request, whose answer was lost");
    let (later, _) = gateway
        .control()
        .logout(gateway.node(), &session, 6, true, DEADLINE)
        .await
        .expect("logout");
    assert_eq!(later, LogoutOutcome::NotLinked);
    pair(gateway, &session, 7).await;
    assert_eq!(gateway.linked_devices().await, before + 1, "it can be paired again");
    gateway.control().logout(gateway.node(), &session, 8, true, DEADLINE).await.expect("logout");
    gateway.control().forget(gateway.node(), &session, 9, false).await.expect("forget");
}

/// A late command cannot undo a newer one. The same command again is accepted.
pub async fn older_epoch_is_rejected(gateway: &dyn GatewayUnderTest) {
    let session = SessionId::from_bits(gateway.environment().ulid());
    let control = gateway.control();
    let newest =
        control.declare(gateway.node(), &session, &plain(5, false)).await.expect("declare");
    assert_eq!(newest.epoch, 5);
    let older = control.declare(gateway.node(), &session, &plain(4, true)).await;
    assert!(matches!(older, Err(GatewayError::Stale)), "{older:?}");
    let older = control.logout(gateway.node(), &session, 4, false, DEADLINE).await;
    assert!(matches!(older, Err(GatewayError::Stale)), "{older:?}");
    let older = control.forget(gateway.node(), &session, 4, false).await;
    assert!(matches!(older, Err(GatewayError::Stale)), "{older:?}");
    let again = control.declare(gateway.node(), &session, &plain(5, false)).await.expect("declare");
    assert_eq!((again.epoch, again.seq), (newest.epoch, newest.seq), "the state is unchanged");
    control.forget(gateway.node(), &session, 6, false).await.expect("forget");
}

/// A forget succeeds with and without a session, and a late declaration does not undo it.
pub async fn forgotten_session_stays_forgotten(gateway: &dyn GatewayUnderTest) {
    let session = SessionId::from_bits(gateway.environment().ulid());
    let control = gateway.control();
    control.declare(gateway.node(), &session, &pairing(3)).await.expect("declare");
    control.forget(gateway.node(), &session, 4, false).await.expect("forget");
    control.forget(gateway.node(), &session, 4, false).await.expect("forget again");
    let late = control.declare(gateway.node(), &session, &pairing(3)).await;
    assert!(matches!(late, Err(GatewayError::Stale)), "{late:?}");
    let unknown = control.identity(gateway.node(), &session).await;
    assert!(matches!(unknown, Err(GatewayError::Unknown)), "{unknown:?}");
    let never = SessionId::from_bits(gateway.environment().ulid());
    control.forget(gateway.node(), &never, 1, false).await.expect("forget an unknown session");
}

async fn pair(gateway: &dyn GatewayUnderTest, session: &SessionId, epoch: u64) {
    let spec = pairing(epoch);
    let mut qr = None;
    for _ in 0..MAX_POLLS {
        let snapshot = gateway.control().declare(gateway.node(), session, &spec).await;
        qr = snapshot.expect("declare").pairing.and_then(|attempt| attempt.qr);
        if qr.is_some() {
            break;
        }
        gateway.time().pause(POLL_INTERVAL).await;
    }
    gateway.scan(&qr.expect("a QR code within the polls").text).await;
    let working = until(gateway, session, &spec, Status::Working).await;
    let identity = working.identity.expect("a working session is linked");
    assert!(identity.jid.contains(&identity.phone), "{identity:?}");
}

async fn until(
    gateway: &dyn GatewayUnderTest,
    session: &SessionId,
    spec: &Declaration,
    status: Status,
) -> Snapshot {
    let mut last = None;
    for _ in 0..MAX_POLLS {
        let snapshot = gateway.control().declare(gateway.node(), session, spec).await;
        let snapshot = snapshot.expect("declare");
        assert_eq!(snapshot.epoch, spec.epoch);
        if snapshot.status == status {
            return snapshot;
        }
        last = Some(snapshot);
        gateway.time().pause(POLL_INTERVAL).await;
    }
    panic!("the session did not reach {status:?}: {last:?}");
}

fn plain(epoch: u64, running: bool) -> Declaration {
    Declaration { epoch, running, restarts: 0, pairing: None, linked: false, group: None }
}

fn pairing(epoch: u64) -> Declaration {
    let pairing = PairingSpec { attempt: epoch, phone: None, request: epoch };
    Declaration { pairing: Some(pairing), ..plain(epoch, true) }
}
