//! Writes one session of each status, and one event of each kind of a linked session, through the
//! store.

use std::sync::Arc;

use domain::{
    Actor, Attempt, Caller, Capability, Change, Desired, EventName, EventPayload, GatewayId,
    Identity, Omittable, OrganizationId, PairingSpec, QrCode, ReasonCode, Scope, Session, Settings,
    Status, StatusReason, Timestamp, UserId,
    ports::{Environment, Written},
    testing::{TestEnvironment, commit_parts, insert_session},
};
use store_diesel::Database;

use crate::Result;

/// The phone number in every template, which each session replaces.
pub(crate) const PHONE: &str = "15550000000";
/// The statuses of the templates.
pub(crate) const WORKING: &str = Status::Working.as_str();
pub(crate) const STOPPED: &str = Status::Stopped.as_str();
pub(crate) const FAILED: &str = Status::Failed.as_str();
pub(crate) const SCANNING: &str = Status::ScanQrCode.as_str();
/// The events of every session, in order.
pub(crate) const EVENTS: [EventName; 3] =
    [EventName::SessionCreated, EventName::AuthPaired, EventName::SessionStatus];

/// A due time long after every benchmark, so that the worker counts the rows and does not process
/// them.
const FAR_FUTURE: Timestamp = Timestamp::from_millis(4_102_444_800_000);

/// Writes the templates.
pub(crate) async fn write(store: &Database) -> Result<()> {
    let environment = TestEnvironment::new();
    let organization = OrganizationId::parse("template").ok_or("a name")?;
    let scope = Caller::operator(organization).may(Capability::Manage)?;
    for status in [Status::Working, Status::Stopped, Status::Failed, Status::ScanQrCode] {
        let session = session(&scope, status, &environment);
        let new_events = if status == Status::Working { new_events() } else { Vec::new() };
        let actor = Actor::User(UserId::parse("user-1"));
        let (session, _, events) =
            commit_parts(Change { session, new_events, attempt: None }, &actor, &*environment);
        let written = insert_session(store, &scope, &session, &events, None).await?;
        if written != Ok(Written::Done) {
            return Err("a template was not written".into());
        }
    }
    Ok(())
}

fn session(scope: &Scope, status: Status, environment: &Arc<TestEnvironment>) -> Session {
    let now = environment.now();
    let settings = Settings {
        label: Some("a label".to_owned()),
        rate_per_min: Some(20),
        metadata: [("customer", "C-2026-0815"), ("shop", "Köln, Breite Straße")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..Settings::default()
    };
    let user = UserId::parse("user-1");
    let mut session = Session::new(scope.organization().clone(), user, settings, &**environment);
    session.gateway = GatewayId::parse("gw-0");
    session.spec.epoch = 4;
    (
        session.observed.status,
        session.observed.epoch,
        session.observed.generation,
        session.observed.seq,
    ) = (status, 4, 2, 31);
    if status == Status::ScanQrCode {
        session.spec.desired = Desired::Running;
        session.spec.pairing = Some(PairingSpec { attempt: 1, phone: None, request: 0 });
        let text = "2@".to_owned() + &"ABCDEFGH".repeat(28);
        let qr = QrCode { text, expires_at: FAR_FUTURE, number: 1, of: 6 };
        session.observed.pairing = Some(Attempt { attempt: 1, qr: Some(qr), code: None });
        (session.observed.deadline, session.due) = (Some(FAR_FUTURE), Some(FAR_FUTURE));
        return session;
    }
    if status != Status::Stopped {
        session.spec.desired = Desired::Running;
    }
    session.observed.identity = Some(Identity {
        phone: PHONE.to_owned(),
        jid: format!("{PHONE}:3@s.whatsapp.net"),
        lid: Some("123456789012345:3@lid".to_owned()),
        device: 3,
        push_name: Some("Laden".to_owned()),
    });
    session.observed.last_connected_at = Some(now);
    if status == Status::Failed {
        let message = "WhatsApp cannot be reached".to_owned();
        let code = ReasonCode::ConnectFailed;
        session.observed.reason =
            Some(StatusReason { code, message, since: now, retry_at: Some(FAR_FUTURE) });
        session.due = Some(FAR_FUTURE);
    }
    session
}

fn new_events() -> Vec<EventPayload> {
    vec![
        EventPayload::SessionCreated { label: Some("a label".to_owned()) },
        EventPayload::AuthPaired {
            phone: PHONE.to_owned(),
            jid: format!("{PHONE}:3@s.whatsapp.net"),
            lid: None,
            device: 3,
        },
        EventPayload::SessionStatus {
            status: Status::Working,
            reason: None,
            message: None,
            unlink: Omittable(None),
        },
    ]
}
