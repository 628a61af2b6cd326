//! Suite of link attempts, which are counted with the change that begins them.

use std::time::Duration;

use crate::{
    access::Scope,
    event::Event,
    link_attempt::LinkAttempt,
    ports::{
        environment::Environment,
        error::PortResult,
        store::{
            events::EventLog,
            sessions::SessionStore,
            worker::WorkerStore,
            written::{CommitOutcome, Rejection, Written},
        },
    },
    rate_quota::RateQuota,
    session::{model::Session, pairing::Phone, version::ExpectedVersion},
    testing::{
        contract::fixtures::{fresh_scope, fresh_session, stored_events},
        writes::{cleanup_of, commit_parts, delete_session, link_session},
    },
    time::Timestamp,
};

const HOUR: Duration = Duration::from_secs(3600);
/// Quota per session and per phone.
const TWO: RateQuota = RateQuota { name: "pairing", count: 2, window: HOUR };
const FIVE: RateQuota = RateQuota { name: "organization-pairing", count: 5, window: HOUR };

/// Returns a link attempt of this session at this time.
pub fn attempt(session: &Session, phone: Option<&str>, at: Timestamp) -> LinkAttempt {
    LinkAttempt {
        session: session.id.clone(),
        epoch: session.spec.epoch,
        phone: phone.and_then(Phone::parse),
        at,
        rate_quota: TWO,
        organization_quota: FIVE,
    }
}

/// Returns a new session with the epoch of its first attempt.
fn to_link(scope: &Scope, environment: &dyn Environment) -> (Session, Vec<Event>) {
    let (mut session, events) = fresh_session(scope, environment);
    session.spec.epoch = 1;
    (session, events)
}

/// Returns the commit of another attempt of the session.
fn again(
    session: &Session,
    scope: &Scope,
    environment: &dyn Environment,
) -> (Session, ExpectedVersion, Vec<Event>) {
    let mut next = session.clone();
    next.spec.epoch += 1;
    commit_parts(next.created(), scope.actor(), environment)
}

/// Asserts a rejection by this quota, with room after `minutes`.
fn assert_rate_limited(written: PortResult<CommitOutcome>, rate_quota: RateQuota, minutes: u64) {
    let retry_after = Duration::from_secs(60 * minutes);
    let rejection = Rejection::RateLimited { rate_quota, retry_after };
    assert_eq!(written.expect("a result"), Err(rejection));
}

/// Attempts are counted per session (also after its delete), per phone across sessions, and per
/// organization; never across organizations; for the length of the window.
pub async fn link_attempts_are_counted(
    store: &(impl SessionStore + WorkerStore + EventLog),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let start = environment.now();
    let minute = |n: u64| start.plus(Duration::from_secs(60 * n));
    let phone = Some("15551234567");

    let (first, events) = to_link(&scope, environment);
    // Attempts of another organization with the same session id do not count.
    for epoch in 1..3 {
        let (other, events) = to_link(&other_scope, environment);
        let begun = LinkAttempt { epoch, ..attempt(&first, None, minute(0)) };
        let written = link_session(store, &other_scope, &other, None, &events, &begun).await;
        assert_eq!(written.expect("insert"), Ok(Written::Done));
    }
    let begun = attempt(&first, None, minute(0));
    let written = link_session(store, &scope, &first, None, &events, &begun).await;
    assert_eq!(written.expect("insert"), Ok(Written::Done));
    let (next, expected_version, events) = again(&first, &scope, environment);
    let begun = attempt(&next, phone, minute(1));
    let mut stale = expected_version;
    stale.version.0 += 1;
    let raced = link_session(store, &scope, &next, Some(stale), &events, &begun).await;
    assert_eq!(raced.expect("update"), Ok(Written::Raced), "the attempt is not counted");
    let written = link_session(store, &scope, &next, Some(expected_version), &events, &begun).await;
    assert_eq!(written.expect("update"), Ok(Written::Done));
    let (third, expected_version, new_events) = again(&next, &scope, environment);
    let begun = attempt(&third, None, minute(2));
    let refused =
        link_session(store, &scope, &third, Some(expected_version), &new_events, &begun).await;
    assert_rate_limited(refused, TWO, 58);
    let found = SessionStore::find(store, &scope, &first.id).await.expect("find");
    assert_eq!(found, Some(next.clone()), "the session is unchanged");
    assert_eq!(stored_events(store, &scope).await.len(), 2);

    // The count of a phone spans sessions, including deleted ones.
    let rest = cleanup_of(&next, &scope, environment.now());
    let events = [rest.deletion_event(environment)];
    let gone = delete_session(store, &scope, next.version, &rest, &events).await;
    assert_eq!(gone.expect("delete"), Ok(Written::Done));
    let link = async |scope: &Scope, phone: Option<&str>, at: Timestamp| {
        let (session, events) = to_link(scope, environment);
        let begun = attempt(&session, phone, at);
        let written = link_session(store, scope, &session, None, &events, &begun).await;
        let found = SessionStore::find(store, scope, &session.id).await.expect("find");
        assert_eq!(found.is_some(), matches!(written, Ok(Ok(Written::Done))));
        written
    };
    assert_eq!(link(&scope, phone, minute(3)).await.expect("begun"), Ok(Written::Done));
    assert_rate_limited(link(&scope, phone, minute(4)).await, TWO, 57);
    assert_eq!(link(&other_scope, phone, minute(4)).await.expect("begun"), Ok(Written::Done));
    assert_eq!(link(&scope, None, minute(4)).await.expect("begun"), Ok(Written::Done));
    let other = Some("15557654321");
    assert_eq!(link(&scope, other, minute(5)).await.expect("begun"), Ok(Written::Done));
    assert_rate_limited(link(&scope, other, minute(6)).await, FIVE, 54);
    // The first attempt no longer counts for the organization, the second no longer for its phone.
    assert_eq!(link(&scope, None, minute(60)).await.expect("begun"), Ok(Written::Done));
    assert_rate_limited(link(&scope, None, minute(60)).await, FIVE, 1);
    assert_eq!(link(&scope, phone, minute(61)).await.expect("begun"), Ok(Written::Done));

    // Swept attempts no longer count; the others still do.
    while store.sweep_link_attempts(minute(5), 1).await.expect("sweep") > 0 {}
    for _ in 0..2 {
        assert_eq!(link(&scope, None, minute(61)).await.expect("begun"), Ok(Written::Done));
    }
    assert_rate_limited(link(&scope, None, minute(61)).await, FIVE, 4);
    while store.sweep_link_attempts(minute(62), 100).await.expect("sweep") > 0 {}
    assert_eq!(link(&scope, phone, minute(61)).await.expect("begun"), Ok(Written::Done));
}
