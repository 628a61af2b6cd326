//! One suite per port; every adapter must pass it.
//!
//! Each function is one claim about an adapter, made on whatever the adapter holds already: suites
//! use fresh organizations and names, so they can share a database.

mod fairness;
mod idempotency;
mod isolation;
mod keys;
mod link_attempt;
mod nodes;
mod orphans;
mod quotas;
mod retention;
mod session_control;
mod sessions;
mod worker_store;

pub use fairness::{
    claims_rotate_among_organizations, cleanup_claims_rotate_among_organizations,
    waiting_sessions_are_woken_in_rotation,
};
pub use idempotency::{
    idempotency_record_is_atomic_with_its_change,
    idempotency_record_is_invisible_to_other_organizations,
    idempotency_record_is_stored_once_until_it_expires,
};
pub use isolation::cross_organization_writes_are_rejected;
pub use keys::{
    batch_session_lookup_respects_scope, event_pages_are_newest_first_and_in_scope,
    events_are_read_in_order_and_in_scope, key_directory_finds_valid_keys_only,
    key_is_visible_to_its_organization_only, key_pages_cover_every_key_once,
};
pub use link_attempt::{attempt, link_attempts_are_counted};
pub use nodes::node_registers_renews_its_lease_and_is_lost;
pub use orphans::orphan_is_returned_once_and_listed_while_held;
pub use quotas::{
    api_keys_fill_their_quota, idempotency_records_fill_their_quota, metadata_fills_its_quota,
    sessions_fill_their_quota, small_quotas,
};
pub use retention::{expired_and_revoked_keys_are_removed, expired_codes_are_blanked};
pub use session_control::{
    GatewayUnderTest, declared_session_pairs_connects_stops_and_unlinks,
    forgotten_session_stays_forgotten, older_epoch_is_rejected,
};
pub use sessions::{
    complete_cleanup_leaves_events_only, delete_replaces_session_with_cleanup,
    filter_conditions_are_combined_with_and, guarded_write_happens_once,
    operators_see_sessions_of_every_organization, out_of_scope_session_is_invisible,
    session_pages_cover_every_session_once, session_round_trips_in_every_field,
};
pub use worker_store::{
    claim_takes_due_sessions_and_postpones_them, cleanup_lives_until_finished,
    version_lookup_returns_stored_versions, wake_is_not_overwritten,
    worker_store_finds_wakes_and_reschedules,
};

use crate::{
    Actor, Attempt, Caller, Capability, Desired, Event, Identity, OrganizationId, PairingCode,
    PairingSpec, QrCode, ReasonCode, Scope, Session, Settings, Status, StatusReason, UnlinkRequest,
    UserId,
    ports::{Environment, PortResult, Written},
};

/// It was inserted.
fn assert_inserted(written: PortResult<Written>) {
    assert_eq!(written.expect("insert"), Written::Done);
}

/// A scope of an organization nobody else uses.
fn fresh_scope(environment: &dyn Environment) -> Scope {
    let name = format!("org-{}", environment.ulid());
    let organization = OrganizationId::parse(&name).expect("an organization's name");
    let mut caller = Caller::operator(organization);
    caller.actor = Actor::User(UserId::parse("user-1"));
    caller.may(Capability::Manage).expect("an operator may manage")
}

/// A new session as the create use case writes it, with its events.
fn fresh_session(scope: &Scope, environment: &dyn Environment) -> (Session, Vec<Event>) {
    let user = scope.actor().user().cloned();
    let organization = scope.organization().clone();
    let session = Session::new(organization, user, Settings::default(), environment);
    let (session, _, events) = session.created().into_commit(scope.actor(), environment);
    (session, events)
}

/// The same session with every field that can change set to something else.
pub fn filled(mut session: Session, environment: &dyn Environment) -> Session {
    let now = environment.now();
    session.settings = Settings {
        label: Some("Küche \"1\" 🍲".to_owned()),
        auto_read: true,
        presence_typing: true,
        rate_per_min: Some(20),
        rate_per_hour: Some(600),
        metadata: [("a key".to_owned(), "a 'value'".to_owned())].into(),
    };
    session.is_admin_session = true;
    session.gateway = crate::GatewayId::parse("gw-contract");
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
