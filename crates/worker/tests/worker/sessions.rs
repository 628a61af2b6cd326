//! The life of a session: requests take effect, and every transition ends.

use std::time::Duration;

use domain::{Actor, Desired, Error, EventName, ReasonCode, Settings, Status, testing::World};

use crate::fixture::Fixture;

fn code(session: &domain::Session) -> Option<ReasonCode> {
    session.observed.reason.as_ref().map(|reason| reason.code)
}

#[tokio::test]
async fn session_pairs_stops_starts_restarts_and_logs_out() {
    let fixture = Fixture::new().await;
    let (sessions, acme) = (&fixture.world.sessions, World::acme());
    let id = fixture.working().await;
    let working = fixture.view(&id).await;
    assert_eq!(working.spec.desired, Desired::Running);
    assert!(working.is_paired() && working.spec.pairing.is_none());
    assert!(working.observed.last_connected_at.is_some());
    assert_eq!(working.gateway.as_ref().unwrap().as_str(), "gw-test");
    let identity = sessions.identity(&acme, id.as_str()).await.unwrap();
    assert!(identity.connected);

    sessions.stop(&acme, id.as_str(), None).await.unwrap();
    fixture.settle().await;
    let stopped = fixture.view(&id).await;
    assert_eq!((stopped.observed.status, stopped.is_paired()), (Status::Stopped, true));
    let started = sessions.start(&acme, id.as_str(), None).await.unwrap();
    assert_eq!(started.observed.status, Status::Starting);
    fixture.settle().await;
    assert_eq!(fixture.view(&id).await.observed.status, Status::Working);
    sessions.restart(&acme, id.as_str(), None).await.unwrap();
    fixture.settle().await;
    assert_eq!(fixture.view(&id).await.observed.status, Status::Working);

    let after = sessions.logout(&acme, id.as_str(), None).await.unwrap();
    assert_eq!(after.observed.status, Status::Stopped, "logout waits for the confirmation");
    assert_eq!(code(&after), Some(ReasonCode::LoggedOutByUser));
    assert!(!after.is_paired());
    let unpaired = sessions.identity(&acme, id.as_str()).await;
    assert!(matches!(unpaired, Err(Error::NotFound { noun: "identity" })));
    fixture.pair(&id).await;
}

#[tokio::test]
async fn events_are_in_order_and_without_gaps() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    fixture.world.sessions.delete(&World::acme(), id.as_str(), None).await.unwrap();
    fixture.settle().await;
    let events = fixture.world.memory.events();
    let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=events.len() as u64).collect::<Vec<_>>());
    let names: Vec<_> = events.iter().map(domain::Event::name).collect();
    for name in [
        EventName::SessionCreated,
        EventName::SessionRequested,
        EventName::AuthQr,
        EventName::AuthPaired,
        EventName::SessionDeleted,
    ] {
        assert_eq!(names.iter().filter(|n| **n == name).count(), 1, "{name:?}");
    }
    assert_eq!(names.last(), Some(&EventName::SessionRetired));
    assert!(matches!(events[1].actor, Actor::User(Some(_))), "the event names the user");
}

#[tokio::test]
async fn unused_pairing_expires_and_can_begin_again() {
    let fixture = Fixture::new().await;
    let (sessions, acme) = (&fixture.world.sessions, World::acme());
    let session = sessions.create(&acme, Settings::default(), true, None).await.unwrap();
    assert_eq!(session.observed.status, Status::Starting);
    fixture.settle().await;
    assert_eq!(fixture.view(&session.id).await.observed.status, Status::ScanQrCode);
    fixture.pass(260, true).await;
    let expired = fixture.view(&session.id).await;
    assert_eq!(expired.observed.status, Status::Stopped, "an expired pairing is no failure");
    assert_eq!(code(&expired), Some(ReasonCode::PairingExpired));
    assert_eq!(expired.spec.desired, Desired::Stopped);
    fixture.pair(&session.id).await;
}

#[tokio::test]
async fn pairing_code_belongs_to_the_requested_phone() {
    let fixture = Fixture::new().await;
    let (sessions, acme) = (&fixture.world.sessions, World::acme());
    let session = sessions.create(&acme, Settings::default(), false, None).await.unwrap();
    let id = session.id.as_str();
    for bad in ["", "12", "+4915112345678", "1234567890123456", "12345a7"] {
        let refused = sessions.pairing_code(&acme, id, bad).await;
        assert!(matches!(refused, Err(Error::Validation(_))), "{bad}");
    }
    let code = sessions.pairing_code(&acme, id, "4915112345678").await.unwrap();
    assert_eq!(code.phone, "4915112345678");
    let same = sessions.pairing_code(&acme, id, "4915112345678").await.unwrap();
    assert_eq!(same, code, "a valid code is returned again");
    let other = sessions.pairing_code(&acme, id, "4915187654321").await.unwrap();
    assert_ne!(other.code, code.code);
    let qr = sessions.qr(&acme, id, Duration::ZERO).await.unwrap();
    assert!(fixture.world.gateway.scan(&qr.text), "the QR code stays valid");
    fixture.report().await;
    let paired = sessions.pairing_code(&acme, id, "4915187654321").await;
    assert!(matches!(paired, Err(Error::Conflict { .. })));
    let paired = sessions.qr(&acme, id, Duration::ZERO).await;
    assert!(matches!(paired, Err(Error::Conflict { .. })));
}

#[tokio::test]
async fn session_that_does_not_start_fails_at_its_deadline_and_recovers() {
    let fixture = Fixture::new().await;
    let (sessions, acme) = (&fixture.world.sessions, World::acme());
    fixture.world.gateway.set_down(true);
    let session = sessions.create(&acme, Settings::default(), true, None).await.unwrap();
    let early = sessions.qr(&acme, session.id.as_str(), Duration::from_secs(10)).await;
    assert!(matches!(early, Err(Error::NotYet { .. })), "{early:?}");
    fixture.pass(60, true).await;
    let failed = fixture.view(&session.id).await;
    assert_eq!(
        (failed.observed.status, code(&failed)),
        (Status::Failed, Some(ReasonCode::StartTimeout))
    );
    fixture.world.gateway.set_down(false);
    fixture.pass(31, true).await;
    assert_eq!(fixture.view(&session.id).await.observed.status, Status::ScanQrCode);
}

/// The router knows of a registration before the node has its answer. The node refuses until then, and
/// reports first of all.
#[tokio::test]
async fn declaration_refused_during_registration_is_repeated_despite_a_report() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    let gateway = &fixture.world.gateway;
    gateway.expire_lease();
    fixture.world.register("gw-test").await;
    fixture.worker.round().await.unwrap();
    gateway.register(fixture.node().await.generation);
    for _ in 0..2 {
        fixture.report().await;
    }
    assert_eq!(fixture.view(&id).await.observed.status, Status::Starting);
    fixture.pass(3, true).await;
    fixture.report().await;
    assert_eq!(fixture.view(&id).await.observed.status, Status::Working);
}

#[tokio::test]
async fn unlink_on_the_phone_is_reported_and_the_session_pairs_again() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    fixture.world.gateway.report_status(&id, Status::Failed, ReasonCode::LoggedOutByPhone);
    fixture.report().await;
    let out = fixture.view(&id).await;
    assert_eq!(
        (out.observed.status, code(&out)),
        (Status::Failed, Some(ReasonCode::LoggedOutByPhone))
    );
    assert!(!out.is_paired());
    let start = fixture.world.sessions.start(&World::acme(), id.as_str(), None).await;
    assert!(matches!(start, Err(Error::NotPaired)));
    fixture.pair(&id).await;
}

#[tokio::test]
async fn replaced_session_starts_on_request() {
    let fixture = Fixture::new().await;
    let id = fixture.working().await;
    fixture.world.gateway.report_status(&id, Status::Failed, ReasonCode::Replaced);
    fixture.report().await;
    fixture.settle().await;
    let replaced = fixture.view(&id).await;
    assert_eq!(
        (replaced.observed.status, code(&replaced)),
        (Status::Failed, Some(ReasonCode::Replaced))
    );
    fixture.world.sessions.start(&World::acme(), id.as_str(), None).await.unwrap();
    fixture.settle().await;
    assert_eq!(fixture.view(&id).await.observed.status, Status::Working);
}

#[tokio::test]
async fn refused_pairing_code_is_reported_and_can_be_requested_again() {
    let fixture = Fixture::new().await;
    let (sessions, acme) = (&fixture.world.sessions, World::acme());
    let session = sessions.create(&acme, Settings::default(), true, None).await.unwrap();
    let id = session.id.as_str();
    sessions.pairing_code(&acme, id, "4915112345678").await.unwrap();
    fixture.world.gateway.report_status(&session.id, Status::ScanQrCode, ReasonCode::PairingFailed);
    fixture.report().await;
    let refused = fixture.view(&session.id).await;
    assert_eq!(code(&refused), Some(ReasonCode::PairingFailed));
    let again = sessions.pairing_code(&acme, id, "4915112345678").await;
    assert!(again.is_ok(), "requested again: {again:?}");
}
