//! A session's life: what owners ask for comes true, and everything transitional ends.

use std::time::Duration;

use domain::{Actor, Desired, Error, EventName, ReasonCode, Settings, Status, testing::World};

use crate::fixture::Stage;

fn code(session: &domain::Session) -> Option<ReasonCode> {
    session.observed.reason.as_ref().map(|reason| reason.code)
}

#[tokio::test]
async fn a_session_pairs_stops_starts_restarts_and_logs_out() {
    let stage = Stage::new().await;
    let (sessions, acme) = (&stage.world.sessions, World::acme());
    let id = stage.working().await;
    let working = stage.view(&id).await;
    assert_eq!(working.spec.desired, Desired::Running);
    assert!(working.is_paired() && working.spec.pairing.is_none());
    assert!(working.observed.last_connected_at.is_some());
    assert_eq!(working.gateway.as_ref().unwrap().as_str(), "gw-test");
    let who = sessions.identity(&acme, id.as_str()).await.unwrap();
    assert!(who.connected);

    sessions.stop(&acme, id.as_str()).await.unwrap();
    stage.settle().await;
    let stopped = stage.view(&id).await;
    assert_eq!((stopped.observed.status, stopped.is_paired()), (Status::Stopped, true));
    let started = sessions.start(&acme, id.as_str()).await.unwrap();
    assert_eq!(started.observed.status, Status::Starting);
    stage.settle().await;
    assert_eq!(stage.view(&id).await.observed.status, Status::Working);
    sessions.restart(&acme, id.as_str()).await.unwrap();
    stage.settle().await;
    assert_eq!(stage.view(&id).await.observed.status, Status::Working);

    let after = sessions.logout(&acme, id.as_str()).await.unwrap();
    assert_eq!(after.observed.status, Status::Stopped, "logout waits for WhatsApp's word");
    assert_eq!(code(&after), Some(ReasonCode::LoggedOutByUser));
    assert!(!after.is_paired());
    let unpaired = sessions.identity(&acme, id.as_str()).await;
    assert!(matches!(unpaired, Err(Error::NotFound { noun: "identity" })));
    stage.pair(&id).await;
}

#[tokio::test]
async fn every_change_is_told_in_order_and_without_gaps() {
    let stage = Stage::new().await;
    let id = stage.working().await;
    stage.world.sessions.delete(&World::acme(), id.as_str(), None).await.unwrap();
    stage.settle().await;
    let events = stage.world.memory.events();
    let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=events.len() as u64).collect::<Vec<_>>());
    let names: Vec<_> = events.iter().map(|event| event.name).collect();
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
    assert!(matches!(events[1].actor, Actor::User(Some(_))), "who asked is named");
}

#[tokio::test]
async fn a_pairing_nobody_takes_up_expires_and_can_begin_again() {
    let stage = Stage::new().await;
    let (sessions, acme) = (&stage.world.sessions, World::acme());
    let session = sessions.create(&acme, Settings::default(), true).await.unwrap();
    assert_eq!(session.observed.status, Status::Starting);
    stage.settle().await;
    assert_eq!(stage.view(&session.id).await.observed.status, Status::ScanQrCode);
    stage.pass(260, true).await;
    let expired = stage.view(&session.id).await;
    assert_eq!(expired.observed.status, Status::Stopped, "nobody came: an outcome, not a fault");
    assert_eq!(code(&expired), Some(ReasonCode::PairingExpired));
    assert_eq!(expired.spec.desired, Desired::Stopped);
    stage.pair(&session.id).await;
}

#[tokio::test]
async fn a_pairing_code_answers_the_phone_asked_for() {
    let stage = Stage::new().await;
    let (sessions, acme) = (&stage.world.sessions, World::acme());
    let session = sessions.create(&acme, Settings::default(), false).await.unwrap();
    let id = session.id.as_str();
    for bad in ["", "12", "+4915112345678", "1234567890123456", "12345a7"] {
        let refused = sessions.pairing_code(&acme, id, bad).await;
        assert!(matches!(refused, Err(Error::Validation(_))), "{bad}");
    }
    let code = sessions.pairing_code(&acme, id, "4915112345678").await.unwrap();
    assert_eq!(code.phone, "4915112345678");
    let same = sessions.pairing_code(&acme, id, "4915112345678").await.unwrap();
    assert_eq!(same, code, "a live code is shown again");
    let other = sessions.pairing_code(&acme, id, "4915187654321").await.unwrap();
    assert_ne!(other.code, code.code);
    let qr = sessions.qr(&acme, id, Duration::ZERO).await.unwrap();
    assert!(stage.world.gateway.scan(&qr.text), "the QR code works besides");
    stage.report().await;
    let paired = sessions.pairing_code(&acme, id, "4915187654321").await;
    assert!(matches!(paired, Err(Error::Conflict { .. })));
    let paired = sessions.qr(&acme, id, Duration::ZERO).await;
    assert!(matches!(paired, Err(Error::Conflict { .. })));
}

#[tokio::test]
async fn what_never_comes_up_fails_by_its_deadline_and_recovers_later() {
    let stage = Stage::new().await;
    let (sessions, acme) = (&stage.world.sessions, World::acme());
    stage.world.gateway.set_down(true);
    let session = sessions.create(&acme, Settings::default(), true).await.unwrap();
    let early = sessions.qr(&acme, session.id.as_str(), Duration::from_secs(10)).await;
    assert!(matches!(early, Err(Error::NotYet { .. })), "{early:?}");
    stage.pass(60, true).await;
    let failed = stage.view(&session.id).await;
    assert_eq!(
        (failed.observed.status, code(&failed)),
        (Status::Failed, Some(ReasonCode::StartTimeout))
    );
    stage.world.gateway.set_down(false);
    stage.pass(31, true).await;
    assert_eq!(stage.view(&session.id).await.observed.status, Status::ScanQrCode);
}

#[tokio::test]
async fn an_unlink_on_the_phone_is_seen_and_the_session_pairs_again() {
    let stage = Stage::new().await;
    let id = stage.working().await;
    stage.world.gateway.report_status(&id, Status::Failed, ReasonCode::LoggedOutByPhone);
    stage.report().await;
    let out = stage.view(&id).await;
    assert_eq!(
        (out.observed.status, code(&out)),
        (Status::Failed, Some(ReasonCode::LoggedOutByPhone))
    );
    assert!(!out.is_paired());
    let start = stage.world.sessions.start(&World::acme(), id.as_str()).await;
    assert!(matches!(start, Err(Error::NotPaired)));
    stage.pair(&id).await;
}

#[tokio::test]
async fn a_session_made_with_a_failed_connection_starts_when_asked() {
    let stage = Stage::new().await;
    let id = stage.working().await;
    stage.world.gateway.report_status(&id, Status::Failed, ReasonCode::Replaced);
    stage.report().await;
    stage.settle().await;
    let replaced = stage.view(&id).await;
    assert_eq!(
        (replaced.observed.status, code(&replaced)),
        (Status::Failed, Some(ReasonCode::Replaced))
    );
    stage.world.sessions.start(&World::acme(), id.as_str()).await.unwrap();
    stage.settle().await;
    assert_eq!(stage.view(&id).await.observed.status, Status::Working);
}

#[tokio::test]
async fn a_pairing_code_that_whatsapp_refuses_is_said_and_can_be_asked_again() {
    let stage = Stage::new().await;
    let (sessions, acme) = (&stage.world.sessions, World::acme());
    let session = sessions.create(&acme, Settings::default(), true).await.unwrap();
    let id = session.id.as_str();
    sessions.pairing_code(&acme, id, "4915112345678").await.unwrap();
    stage.world.gateway.report_status(&session.id, Status::ScanQrCode, ReasonCode::PairingFailed);
    stage.report().await;
    let refused = stage.view(&session.id).await;
    assert_eq!(code(&refused), Some(ReasonCode::PairingFailed));
    let again = sessions.pairing_code(&acme, id, "4915112345678").await;
    assert!(again.is_ok(), "asked anew: {again:?}");
}
