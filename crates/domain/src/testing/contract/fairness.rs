//! Suite of [`WorkerStore`]: fairness among organizations.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    access::Scope,
    id::OrganizationId,
    ports::{
        environment::Environment,
        store::{
            sessions::SessionStore,
            worker::{Claim, SystemWrite, WorkerStore},
            written::Written,
        },
    },
    session::{model::Session, spec::Desired},
    testing::{
        contract::fixtures::{assert_inserted, fresh_scope, fresh_session},
        writes::{cleanup_of, delete_session, insert_session, write_by_system},
    },
    time::Timestamp,
};

/// A time before every due time of other rows in the store.
const LONG_AGO: Timestamp = Timestamp::from_millis(1_000_000);

/// Inserts `count` sessions of an organization, due one millisecond after another.
async fn insert_due(
    store: &impl SessionStore,
    environment: &dyn Environment,
    scope: &Scope,
    since: Timestamp,
    count: u64,
) -> Vec<Session> {
    let mut sessions = Vec::new();
    for number in 0..count {
        let (mut session, events) = fresh_session(scope, environment);
        session.due = Some(since.plus(Duration::from_millis(number)));
        assert_inserted(insert_session(store, scope, &session, &events, None).await);
        sessions.push(session);
    }
    sessions
}

fn sessions_of<'a>(sessions: &'a [Session], scope: &'a Scope) -> impl Iterator<Item = &'a Session> {
    sessions.iter().filter(|session| session.organization == *scope.organization())
}

async fn clear_due(store: &impl WorkerStore, sessions: &[Session]) {
    for session in sessions {
        let read =
            WorkerStore::find(store, &session.id).await.expect("find").expect("the row exists");
        let written = store.reschedule(&session.id, read.expected_version(), None, 0).await;
        assert_eq!(written.expect("reschedule"), Written::Done);
    }
}

/// An organization with many due rows delays another for one claim at most. A claim skips an
/// organization that is at its limit.
pub async fn claims_rotate_among_organizations(
    store: &(impl SessionStore + WorkerStore),
    environment: &dyn Environment,
) {
    let [greedy, modest, third] = [(); 3].map(|()| fresh_scope(environment));
    let many = insert_due(store, environment, &greedy, LONG_AGO, 60).await;
    let later = LONG_AGO.plus(Duration::from_secs(1));
    let few = insert_due(store, environment, &modest, later, 2).await;
    let one = insert_due(store, environment, &third, later, 1).await;
    let (now, until) = (later.plus(Duration::from_secs(1)), later.plus(Duration::from_secs(60)));
    let claim = |limit, organization_limit, in_flight: &[(&OrganizationId, u32)]| {
        let in_flight =
            in_flight.iter().map(|(organization, count)| ((*organization).clone(), *count));
        Claim {
            organization_limit,
            in_flight: in_flight.collect::<BTreeMap<_, _>>(),
            ..Claim::new(now, until, limit)
        }
    };

    let full = (greedy.organization(), 5);
    let claimed = store.claim_sessions(&claim(2, 5, &[full])).await.expect("claim");
    assert_eq!(sessions_of(&claimed, &greedy).count(), 0, "the organization is at its limit");
    assert_eq!(claimed.len(), 2, "other organizations get the rest");

    let claimed = store.claim_sessions(&claim(16, 16, &[])).await.expect("claim");
    assert_eq!(claimed.len(), 16);
    let others = sessions_of(&claimed, &modest).count() + sessions_of(&claimed, &third).count();
    assert_eq!(others, 1, "the remaining session of the others is claimed in the first round");
    let firsts: Vec<_> = sessions_of(&claimed, &greedy).map(|session| &session.id).collect();
    let expected: Vec<_> = many[..15].iter().map(|session| &session.id).collect();
    assert_eq!(firsts, expected, "earliest first within an organization");

    let claimed = store.claim_sessions(&claim(16, 20, &[(greedy.organization(), 15)])).await;
    assert_eq!(claimed.expect("claim").len(), 5, "up to its limit");
    let claimed = store.claim_sessions(&claim(100, 7, &[])).await.expect("claim");
    assert_eq!(claimed.len(), 7, "the limit holds if all fit");
    clear_due(store, &[many, few, one].concat()).await;
}

/// Cleanups are claimed in the same way.
pub async fn cleanup_claims_rotate_among_organizations(
    store: &(impl SessionStore + WorkerStore),
    environment: &dyn Environment,
) {
    let [greedy, modest] = [(); 2].map(|()| fresh_scope(environment));
    let mut left = Vec::new();
    for (scope, count, delay) in [(&greedy, 40, 0), (&modest, 1, 1_000)] {
        for number in 0..count {
            let (mut session, events) = fresh_session(scope, environment);
            session.gateway = crate::id::GatewayId::parse("gw-contract");
            assert_inserted(insert_session(store, scope, &session, &events, None).await);
            let at = LONG_AGO.plus(Duration::from_millis(number + delay));
            let cleanup = cleanup_of(&session, scope, at);
            let retired = delete_session(store, scope, session.version, &cleanup, &[]).await;
            assert_eq!(retired.expect("delete"), Ok(Written::Done));
            left.push(cleanup);
        }
    }
    let now = LONG_AGO.plus(Duration::from_secs(2));
    let claim = Claim::new(now, now.plus(Duration::from_secs(60)), 8);
    let claimed = store.claim_cleanups(&claim).await.expect("claim");
    let modest = claimed.iter().filter(|it| it.organization == *modest.organization()).count();
    assert_eq!((claimed.len(), modest), (8, 1));
    for cleanup in left {
        let finished = write_by_system(store, SystemWrite::Finish(cleanup), &[]).await;
        assert_eq!(finished.expect("finish"), Written::Done);
    }
}

/// Sessions that wait for a node are woken in rotation among organizations, longest waiting first.
/// Sessions that are assigned, stopped or due are not changed.
pub async fn waiting_sessions_are_woken_in_rotation(
    store: &(impl SessionStore + WorkerStore),
    environment: &dyn Environment,
) {
    let [greedy, modest] = [(); 2].map(|()| fresh_scope(environment));
    let far = LONG_AGO.plus(Duration::from_secs(9_000));
    let mut waiting = Vec::new();
    for (scope, number) in (0..6).map(|number| (&greedy, number)).chain([(&modest, 6)]) {
        let (mut session, events) = fresh_session(scope, environment);
        session.spec.desired = Desired::Running;
        session.updated_at = LONG_AGO.plus(Duration::from_millis(number));
        if number % 2 == 0 {
            (session.observed.deadline, session.due) = (Some(far), Some(far));
        }
        assert_inserted(insert_session(store, scope, &session, &events, None).await);
        waiting.push(session);
    }
    let mut others = Vec::new();
    for kind in 0..3 {
        let (mut session, events) = fresh_session(&greedy, environment);
        session.updated_at = LONG_AGO;
        session.spec.desired = if kind == 0 { Desired::Stopped } else { Desired::Running };
        session.gateway = crate::id::GatewayId::parse("gw-contract").filter(|_| kind == 1);
        session.due = Some(far).filter(|_| kind == 2);
        assert_inserted(insert_session(store, &greedy, &session, &events, None).await);
        others.push(session);
    }
    let now = LONG_AGO.plus(Duration::from_secs(1));
    assert_eq!(store.wake_waiting(now, 3).await.expect("wake"), 3);
    let mut woken = Vec::new();
    for session in waiting.iter().chain(&others) {
        let read =
            WorkerStore::find(store, &session.id).await.expect("find").expect("the row exists");
        woken.extend((read.due == Some(now)).then_some(session.id.clone()));
    }
    let expected = [&waiting[0], &waiting[1], &waiting[6]].map(|session| session.id.clone());
    assert_eq!(woken, expected);
    assert_eq!(
        store.wake_waiting(now, 100).await.expect("wake"),
        4,
        "the remaining sessions, each once"
    );
    assert_eq!(store.wake_waiting(now, 100).await.expect("wake"), 0);
    clear_due(store, &[waiting, others].concat()).await;
}
