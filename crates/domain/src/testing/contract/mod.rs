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
    a_claim_takes_by_turns_from_each_organization, retirements_are_claimed_by_turns,
    sessions_that_wait_for_a_node_are_woken_by_turns,
};
pub use idempotency::{
    a_receipt_is_kept_once_and_for_a_while, a_receipt_says_nothing_to_another_organization,
    a_receipt_stands_and_falls_with_its_change,
};
pub use isolation::nothing_is_written_into_another_organization;
pub use keys::{
    a_key_belongs_to_its_organization, a_list_of_keys_walks_every_key_once,
    events_are_read_in_order_and_in_scope, events_are_shown_newest_first_and_in_scope,
    sessions_are_told_apart_by_scope_all_at_once, the_door_finds_good_keys_alone,
};
pub use link_attempt::{attempt, attempts_at_linking_are_counted};
pub use nodes::a_node_enlists_beats_and_is_lost;
pub use orphans::an_orphan_is_told_once_and_listed_while_it_is_held;
pub use quotas::{
    api_keys_fill_their_quota, metadata_fills_its_quota, receipts_fill_their_quota,
    sessions_fill_their_quota, small_quotas,
};
pub use retention::{codes_that_died_long_ago_are_blanked, keys_that_ended_long_ago_are_removed};
pub use session_control::{
    Link, a_declared_session_pairs_works_stops_and_is_unlinked,
    a_forgotten_session_stays_forgotten, an_older_epoch_is_refused,
};
pub use sessions::{
    a_filter_finds_what_meets_all_of_it, a_guarded_write_happens_once,
    a_list_walks_every_session_once, a_retirement_that_is_over_leaves_only_its_events,
    a_session_round_trips_whole, nothing_is_visible_out_of_scope,
    operators_see_sessions_of_every_organization, retiring_leaves_a_retirement_in_its_place,
};
pub use worker_store::{
    a_claim_takes_what_is_due_and_puts_it_off, a_retirement_lives_until_it_is_finished,
    a_wake_is_not_written_over, the_backlog_finds_wakes_and_reschedules,
    versions_tell_how_far_sessions_were_written,
};

use crate::{
    Actor, Attempt, Caller, Capability, Desired, Event, Identity, OrganizationId, PairingCode,
    PairingWanted, QrCode, ReasonCode, Scope, Session, Settings, Status, StatusReason,
    UnlinkRequest, UserId,
    ports::{Environment, PortResult, Written},
};

/// It was inserted.
fn inserted(written: PortResult<Written>) {
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
        Some(PairingWanted { attempt: 3, phone: Some("15551234567".to_owned()), request: 4 });
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
