//! Fixtures of the suites: scopes, sessions and assertions.

use crate::{
    access::Scope,
    caller::{Actor, Caller, Capability},
    event::Event,
    id::{OrganizationId, UserId},
    ports::{
        environment::Environment,
        error::PortResult,
        store::{
            events::{EventFilter, EventLog, EventPage},
            written::{CommitOutcome, Written},
        },
    },
    session::{
        message_storage::MessageStorage,
        model::Session,
        pairing::{Attempt, Identity, PairingCode, PairingSpec, QrCode},
        settings::Settings,
        spec::Desired,
        status::{ReasonCode, Status, StatusReason},
        unlink::UnlinkRequest,
    },
};

/// Asserts that a row was inserted.
pub(super) fn assert_inserted(written: PortResult<CommitOutcome>) {
    assert_eq!(written.expect("insert"), Ok(Written::Done));
}

/// Returns a scope of a new organization.
pub(super) fn fresh_scope(environment: &dyn Environment) -> Scope {
    let name = format!("org-{}", environment.ulid());
    let organization = OrganizationId::parse(&name).expect("a valid organization id");
    let mut caller = Caller::operator(organization);
    caller.actor = Actor::User(UserId::parse("user-1"));
    caller.may(Capability::Manage).expect("an operator may manage")
}

/// Returns a new session with its events, as the create use case writes them.
pub(super) fn fresh_session(scope: &Scope, environment: &dyn Environment) -> (Session, Vec<Event>) {
    let user = scope.actor().user().cloned();
    let organization = scope.organization().clone();
    let session = Session::new(organization, user, Settings::default(), environment);
    let commit = session.created().into_commit(scope.actor(), environment);
    (commit.change.session, commit.events)
}

/// Returns the events of the audit log in a scope, oldest first.
pub async fn stored_events(store: &impl EventLog, scope: &Scope) -> Vec<Event> {
    let page = EventPage { filter: EventFilter::default(), before: None, limit: 100_000 };
    let mut events = store.page(scope, &page).await.expect("events");
    events.reverse();
    events
}

/// Returns the session with a different value in every field that can change.
pub fn filled(mut session: Session, environment: &dyn Environment) -> Session {
    let now = environment.now();
    session.settings = Settings {
        label: Some("Küche \"1\" 🍲".to_owned()),
        auto_read: true,
        presence_typing: true,
        rate_per_min: Some(20),
        rate_per_hour: Some(600),
        messages: MessageStorage::Headers,
        retention_days: 7,
        metadata: [("a key".to_owned(), "a 'value'".to_owned())].into(),
    };
    session.is_admin_session = true;
    session.gateway = crate::id::GatewayId::parse("gw-contract");
    session.spec.desired = Desired::Running;
    session.spec.pairing =
        Some(PairingSpec { attempt: 3, phone: Some("15551234567".to_owned()), request: 4 });
    session.spec.unlink = Some(UnlinkRequest { since: now, deadline: now });
    (session.spec.restarts, session.spec.epoch) = (5, 6);
    let observed = &mut session.observed;
    observed.status = Status::ScanQrCode;
    observed.reason = Some(StatusReason {
        code: ReasonCode::ConnectFailed,
        message: "no route".to_owned(),
        since: now,
        retry_at: Some(now),
    });
    observed.identity = Some(Identity {
        phone: "15551234567".to_owned(),
        jid: "15551234567:3@s.whatsapp.net".to_owned(),
        lid: Some("99:3@lid".to_owned()),
        device: 3,
        push_name: Some("Name".to_owned()),
    });
    let qr = QrCode { text: "ref,a,b,c".to_owned(), expires_at: now, number: 1, of: 6 };
    let code = PairingCode {
        code: "ABCD1234".to_owned(),
        request: 4,
        phone: "15551234567".to_owned(),
        expires_at: now,
    };
    observed.pairing = Some(Attempt { attempt: 3, qr: Some(qr), code: Some(code) });
    (observed.deadline, observed.last_connected_at) = (Some(now), Some(now));
    (observed.epoch, observed.generation, observed.seq) = (6, 2, 1 << 40);
    (session.due, session.failures) = (Some(now), 7);
    session
}
