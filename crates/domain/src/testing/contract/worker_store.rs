//! Suite of [`WorkerStore`].

use std::{collections::HashMap, time::Duration};

use crate::{
    caller::Actor,
    event::{Event, payload::EventPayload},
    gateway::node::HeldSession,
    id::SessionId,
    ports::{
        environment::Environment,
        notify::VersionLookup,
        store::{
            events::EventLog,
            sessions::SessionStore,
            worker::{Claim, SystemWrite, WorkerStore},
            written::Written,
        },
    },
    session::{
        unlink::LogoutOutcome,
        version::{ExpectedVersion, Version},
    },
    testing::{
        contract::fixtures::{assert_inserted, fresh_scope, fresh_session, stored_events},
        writes::{
            cleanup_of, commit_parts, delete_session, insert_session, update_by_system,
            update_session, write_by_system,
        },
    },
};

/// Due sessions are claimed once, earliest first, and become due again after the claim. The version
/// does not change.
pub async fn claim_takes_due_sessions_and_postpones_them(
    store: &(impl SessionStore + WorkerStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    // A time before every due time of other rows in the store.
    let long_ago = crate::time::Timestamp::from_millis(1_000_000);
    let mut ours = Vec::new();
    for age in [2_u64, 0, 1] {
        let (mut session, events) = fresh_session(&scope, environment);
        session.due = Some(long_ago.plus(Duration::from_millis(age)));
        assert_inserted(insert_session(store, &scope, &session, &events, None).await);
        ours.push(session);
    }
    let until = long_ago.plus(Duration::from_secs(10));
    let just_before = long_ago.plus(Duration::from_millis(2));
    let first = store.claim_sessions(&Claim::new(long_ago, until, 10)).await.expect("claim");
    assert_eq!(ids(&first), [ours[1].id.clone()], "only due sessions");
    let next = store.next_due().await.expect("next").expect("a session is due");
    assert_eq!(next, long_ago.plus(Duration::from_millis(1)));
    let rest = store.claim_sessions(&Claim::new(just_before, until, 10)).await.expect("claim");
    assert_eq!(ids(&rest), [ours[2].id.clone(), ours[0].id.clone()], "earliest first");
    assert_eq!(rest[0].version, ours[2].version);
    assert!(
        store.claim_sessions(&Claim::new(just_before, until, 10)).await.expect("claim").is_empty()
    );
    let back =
        store.claim_sessions(&Claim::new(until, until.plus(Duration::from_secs(1)), 2)).await;
    assert_eq!(back.expect("claim").len(), 2, "due again, up to the limit");
    for session in ours {
        let written = store
            .reschedule(&session.id, expected_version(store, &session.id).await, None, 0)
            .await;
        assert_eq!(written.expect("reschedule"), Written::Done);
    }
}

/// Sessions are found by id, woken by node and by id, and rescheduled under the expected version.
pub async fn worker_store_finds_wakes_and_reschedules(
    store: &(impl SessionStore + WorkerStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let (mut session, events) = fresh_session(&scope, environment);
    session.gateway = crate::id::GatewayId::parse(&format!("gw-{}", environment.ulid()));
    let gateway = session.gateway.clone().expect("placed");
    assert_inserted(insert_session(store, &scope, &session, &events, None).await);
    let found = WorkerStore::find(store, &session.id).await.expect("find");
    assert_eq!(found.as_ref(), Some(&session));
    let missing = SessionId::from_bits(environment.ulid());
    assert_eq!(WorkerStore::find(store, &missing).await.expect("find"), None);
    let held = HeldSession { session: session.id.clone(), epoch: session.spec.epoch };
    assert_eq!(store.assigned_sessions(&gateway).await.expect("placed"), [(held, false)]);

    let far = crate::time::Timestamp::from_millis(9_000_000_000_000);
    store.wake_node(&gateway, far).await.expect("wake");
    assert_eq!(due(store, &session.id).await, Some(far));
    let sooner = crate::time::Timestamp::from_millis(8_000_000_000_000);
    let both = [session.id.clone(), missing];
    store.wake_sessions(&both, sooner).await.expect("wake");
    assert_eq!(due(store, &session.id).await, Some(sooner));
    store.wake_sessions(&both, far).await.expect("wake");
    assert_eq!(due(store, &session.id).await, Some(sooner), "an earlier due stays");

    let now = expected_version(store, &session.id).await;
    let (other, earlier) = (
        ExpectedVersion { version: Version(99), ..now },
        ExpectedVersion { due: Some(far), ..now },
    );
    for past in [other, earlier, ExpectedVersion { due: None, ..now }] {
        let written = store.reschedule(&session.id, past, None, 3).await.expect("reschedule");
        assert_eq!(written, Written::Raced, "{past:?}");
    }
    let written = store.reschedule(&session.id, now, None, 3).await;
    assert_eq!(written.expect("reschedule"), Written::Done);
    let read = WorkerStore::find(store, &session.id).await.expect("find").expect("the row exists");
    assert_eq!((read.due, read.failures, read.version), (None, 3, session.version));
}

/// A write based on a read before a wake is rejected, so the wake is not lost.
pub async fn wake_is_not_overwritten(
    store: &(impl SessionStore + WorkerStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let (mut session, events) = fresh_session(&scope, environment);
    session.gateway = crate::id::GatewayId::parse(&format!("gw-{}", environment.ulid()));
    let gateway = session.gateway.clone().expect("placed");
    assert_inserted(insert_session(store, &scope, &session, &events, None).await);
    let far = crate::time::Timestamp::from_millis(9_000_000_000_000);
    for round in 0..2 {
        let read =
            WorkerStore::find(store, &session.id).await.expect("find").expect("the row exists");
        let now = crate::time::Timestamp::from_millis(far.millis() - round);
        if round == 0 {
            store.wake_node(&gateway, now).await.expect("wake");
        } else {
            let one = std::slice::from_ref(&session.id);
            store.wake_sessions(one, now).await.expect("wake");
        }
        let put_off = crate::session::model::Session { due: None, ..read.clone() };
        let (next, expected, _) = commit_parts(put_off.created(), scope.actor(), environment);
        let written = update_by_system(store, &next, expected, &[]).await.expect("update");
        assert_eq!(written, Written::Raced);
        let written = update_session(store, &scope, &next, expected, &[], None).await;
        assert_eq!(written.expect("update"), Ok(Written::Raced));
        let written = store.reschedule(&session.id, expected, None, 0).await.expect("reschedule");
        assert_eq!(written, Written::Raced);
        assert_eq!(due(store, &session.id).await, Some(now), "the wake stays");
    }
    let read = WorkerStore::find(store, &session.id).await.expect("find").expect("the row exists");
    let settled = crate::session::model::Session { due: None, ..read };
    let (next, expected, _) = commit_parts(settled.created(), scope.actor(), environment);
    let written = update_by_system(store, &next, expected, &[]).await.expect("update");
    assert_eq!(written, Written::Done, "a read after the wake allows the write");
    assert_eq!(due(store, &session.id).await, None);
}

/// A cleanup is claimed, postponed with its new values, and removed with its last event.
pub async fn cleanup_lives_until_finished(
    store: &(impl SessionStore + WorkerStore + EventLog),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let (mut session, events) = fresh_session(&scope, environment);
    session.gateway = crate::id::GatewayId::parse(&format!("gw-{}", environment.ulid()));
    assert_inserted(insert_session(store, &scope, &session, &events, None).await);
    let long_ago = crate::time::Timestamp::from_millis(500_000);
    let mut cleanup = cleanup_of(&session, &scope, long_ago);
    let written =
        delete_session(store, &scope, session.version, &cleanup, &[]).await.expect("delete");
    assert_eq!(written, Ok(Written::Done));

    let until = long_ago.plus(Duration::from_secs(1));
    let claimed = store.claim_cleanups(&Claim::new(long_ago, until, 10)).await.expect("claim");
    let mut put_off = cleanup.clone();
    put_off.due = until;
    assert_eq!(claimed, [put_off]);
    assert!(
        store.claim_cleanups(&Claim::new(long_ago, until, 10)).await.expect("claim").is_empty()
    );

    let event = |sequence| {
        let payload = EventPayload::SessionRetired { unlink: LogoutOutcome::Unconfirmed };
        let organization = scope.organization();
        let mut event = Event::of_organization(payload, organization, &Actor::System, environment);
        (event.session, event.sequence) = (Some(session.id.clone()), sequence);
        event
    };
    (cleanup.due, cleanup.attempts) = (long_ago, 4);
    (cleanup.outcome_reported, cleanup.sequence) = (true, 3);
    (cleanup.linked, cleanup.epoch) = (!cleanup.linked, cleanup.epoch + 8);
    let postpone = SystemWrite::Postpone(cleanup.clone());
    let postponed = write_by_system(store, postpone.clone(), &[event(3)]).await;
    assert_eq!(postponed.expect("postpone"), Written::Done);
    let claimed = store.claim_cleanups(&Claim::new(long_ago, until, 10)).await.expect("claim");
    let mut put_off = cleanup.clone();
    put_off.due = until;
    assert_eq!(claimed, [put_off]);

    let finish = SystemWrite::Finish(cleanup);
    for (change, event, outcome) in [
        (finish.clone(), event(4), Written::Done),
        (finish, event(5), Written::Raced),
        (postpone, event(6), Written::Raced),
    ] {
        let written = write_by_system(store, change, &[event]).await.expect("finish");
        assert_eq!(written, outcome);
    }
    let gateway = session.gateway.expect("placed");
    assert!(store.pending_cleanups(&gateway).await.expect("pending cleanups").is_empty());
    let log = stored_events(store, &scope).await;
    let sequences: Vec<_> = log.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 3, 4], "changes of a finished cleanup write nothing");
}

fn ids(sessions: &[crate::session::model::Session]) -> Vec<SessionId> {
    sessions.iter().map(|session| session.id.clone()).collect()
}

/// Returns the expected version of the stored row.
async fn expected_version(store: &impl WorkerStore, id: &SessionId) -> ExpectedVersion {
    store.find(id).await.expect("find").expect("the row exists").expected_version()
}

async fn due(store: &impl WorkerStore, id: &SessionId) -> Option<crate::time::Timestamp> {
    store.find(id).await.expect("find").expect("the row exists").due
}

/// The lookup returns the version of each session in any organization. Deleted and unknown sessions
/// are missing.
pub async fn version_lookup_returns_stored_versions(
    store: &(impl SessionStore + VersionLookup),
    environment: &dyn Environment,
) {
    let mut expected = HashMap::new();
    let mut ids: Vec<_> = (0..3_000).map(|_| SessionId::from_bits(environment.ulid())).collect();
    for written in [1, 1, 2] {
        let scope = fresh_scope(environment);
        let (mut session, events) = fresh_session(&scope, environment);
        assert_inserted(insert_session(store, &scope, &session, &events, None).await);
        for _ in 1..written {
            let change = session.created();
            let (next, expected, _) = commit_parts(change, scope.actor(), environment);
            let updated = update_session(store, &scope, &next, expected, &[], None).await;
            assert_eq!(updated.expect("update"), Ok(Written::Done));
            session = next;
        }
        ids.push(session.id.clone());
        expected.insert(session.id, session.version);
    }
    let scope = fresh_scope(environment);
    let (gone, events) = fresh_session(&scope, environment);
    assert_inserted(insert_session(store, &scope, &gone, &events, None).await);
    let cleanup = cleanup_of(&gone, &scope, environment.now());
    let retired = delete_session(store, &scope, gone.version, &cleanup, &[]).await;
    assert_eq!(retired.expect("delete"), Ok(Written::Done));
    ids.push(gone.id);
    assert_eq!(store.versions(&ids).await.expect("versions"), expected);
    assert_eq!(store.versions(&[]).await.expect("versions"), HashMap::new());
}
