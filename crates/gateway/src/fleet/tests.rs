//! Tests of the fleet: crashes, leases, and records of forgotten sessions.

use super::*;
use crate::{
    engine_http_client::EngineHttpClient,
    fair_permits::FairPermits,
    journal::{Journal, JournalLimits},
    keys::KeyStore,
    outbox::Outbox,
    whatsapp_transport::WebSocketProvider,
};
use tokio::sync::{Semaphore, watch};

async fn fleet(data: &std::path::Path) -> Arc<Fleet> {
    let context = NodeContext {
        key_store: KeyStore::open(data).unwrap(),
        journal: Journal::open(data, JournalLimits::default()).await.unwrap(),
        outbox: Outbox::default(),
        transports: Arc::new(WebSocketProvider(None)),
        reachability: Arc::default(),
        http: Arc::new(EngineHttpClient::new(None)),
        version: None,
        compute_permits: Arc::new(Semaphore::new(1)),
        connect_permits: FairPermits::new(1, 0),
        link_permits: FairPermits::new(1, 0),
        generation: watch::Sender::new(1),
        seq: 0.into(),
    };
    Fleet::new(Arc::new(context), 10).await
}

fn stopped(epoch: u64) -> Declaration {
    Declaration { epoch, running: false, restarts: 0, pairing: None, linked: false, group: None }
}

#[tokio::test]
async fn panicked_actor_is_reported_as_crashed_and_restarts_when_declared() {
    let data = tempfile::tempdir().unwrap();
    let fleet = fleet(data.path()).await;
    let [one, other] = ["one", "other"].map(|name| SessionName::parse(name).unwrap());
    fleet.declare(&one, stopped(5)).await.unwrap();
    let untouched = fleet.declare(&other, stopped(1)).await.unwrap();
    let mailbox = fleet.mailbox(&one).unwrap();
    mailbox.send(Command::Panic).await.unwrap();
    mailbox.closed().await;
    let crashed = loop {
        let shown = fleet.snapshot(&one).unwrap();
        if shown.status == Status::Failed {
            break shown;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(crashed.reason.unwrap().code, gateway_protocol::reason::CRASHED);
    assert_eq!(fleet.snapshot(&other).unwrap(), untouched);
    assert_eq!(fleet.declare(&one, stopped(4)).await.unwrap_err().code, RefusalCode::StaleEpoch);
    let anew = fleet.declare(&one, stopped(5)).await.unwrap();
    assert_eq!((anew.status, anew.reason), (Status::Stopped, None));
    assert!(anew.seq > crashed.seq);
    fleet.forget(&one, 6, false).await.unwrap();
    fleet.close(Duration::from_secs(20)).await;
}

#[tokio::test]
async fn commands_without_a_lease_are_refused_until_the_node_registers_again() {
    let data = tempfile::tempdir().unwrap();
    let fleet = fleet(data.path()).await;
    let [known, new] = ["known", "new"].map(|name| SessionName::parse(name).unwrap());
    fleet.declare(&known, stopped(1)).await.unwrap();
    // The mailbox is taken before the lease ends.
    let mailbox = fleet.mailbox(&known).unwrap();
    fleet.suspend().await;
    let late =
        send_command(&mailbox, COMMAND_TIMEOUT, |reply| Command::Declare(stopped(2), reply)).await;
    assert_eq!(late.unwrap_err().code, RefusalCode::Unavailable);
    for session in [&known, &new] {
        let declared = fleet.declare(session, stopped(2)).await;
        assert_eq!(declared.unwrap_err().code, RefusalCode::Unavailable);
        let unlinked = fleet.logout(session, 2, false, Duration::from_secs(1)).await;
        assert_eq!(unlinked.unwrap_err().code, RefusalCode::Unavailable);
        let forgotten = fleet.forget(session, 2, false).await;
        assert_eq!(forgotten.unwrap_err().code, RefusalCode::Unavailable);
    }
    assert_eq!(fleet.snapshot(&known).unwrap().epoch, 1);
    fleet.context.generation.send_replace(1);
    assert_eq!(fleet.declare(&known, stopped(2)).await.unwrap().epoch, 2);
    fleet.close(Duration::from_secs(20)).await;
}

#[tokio::test]
async fn missing_keys_of_a_linked_session_are_reported() {
    let data = tempfile::tempdir().unwrap();
    let fleet = fleet(data.path()).await;
    let lost = SessionName::parse("lost").unwrap();
    let linked = Declaration { running: true, linked: true, ..stopped(3) };
    let reported = fleet.declare(&lost, linked).await.unwrap();
    assert_eq!((reported.status, reported.identity), (Status::Failed, None));
    assert_eq!(reported.reason.unwrap().code, gateway_protocol::reason::KEYS_UNAVAILABLE);
    let out = fleet.logout(&lost, 4, true, Duration::from_secs(1)).await.unwrap();
    assert_eq!(out.outcome, LogoutOutcome::Unconfirmed);
    let refused = fleet.forget(&lost, 5, false).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::Unavailable);
    fleet.forget(&lost, 5, true).await.unwrap();
    let never = SessionName::parse("never").unwrap();
    let out = fleet.logout(&never, 1, true, Duration::from_secs(1)).await.unwrap();
    assert_eq!(out.outcome, LogoutOutcome::Unconfirmed, "the router knows of a link");
    let out = fleet.logout(&never, 1, false, Duration::from_secs(1)).await.unwrap();
    assert_eq!(out.outcome, LogoutOutcome::NotLinked);
    fleet.close(Duration::from_secs(20)).await;
}

#[tokio::test]
async fn damaged_key_file_is_reported_for_every_session_and_not_replaced() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("keys.db"), [7; 8192]).unwrap();
    let fleet = fleet(data.path()).await;
    let one = SessionName::parse("one").unwrap();
    for linked in [true, false] {
        let reported = fleet.declare(&one, Declaration { linked, ..stopped(1) }).await.unwrap();
        assert_eq!(reported.reason.unwrap().code, gateway_protocol::reason::KEYS_UNAVAILABLE);
        let out = fleet.logout(&one, 1, linked, Duration::from_secs(1)).await.unwrap();
        assert_eq!(out.outcome, LogoutOutcome::Unconfirmed);
    }
    assert!(fleet.forget(&one, 2, false).await.is_err());
    assert!(fleet.forget(&one, 2, true).await.is_err(), "a failed wipe is an error");
    assert_eq!(std::fs::read(data.path().join("keys.db")).unwrap(), [7; 8192]);
    fleet.close(Duration::from_secs(20)).await;
}

#[tokio::test]
async fn release_with_an_old_epoch_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let fleet = fleet(data.path()).await;
    let one = SessionName::parse("one").unwrap();
    fleet.declare(&one, stopped(5)).await.unwrap();
    fleet.release(&one, 4).await;
    assert_eq!(fleet.declare(&one, stopped(5)).await.unwrap().epoch, 5);
    fleet.release(&one, 5).await;
    while fleet.snapshot(&one).is_ok() {
        tokio::task::yield_now().await;
    }
    let late = fleet.declare(&one, Declaration { running: true, ..stopped(5) }).await;
    assert_eq!(late.unwrap_err().code, RefusalCode::StaleEpoch);
    fleet.close(Duration::from_secs(20)).await;
}
