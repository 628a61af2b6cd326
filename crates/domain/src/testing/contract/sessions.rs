//! Suite of [`SessionStore`].

use std::time::Duration;

use crate::{
    access::Scope,
    caller::{Caller, Capability, Reach},
    ports::{
        environment::Environment,
        store::{
            events::EventLog,
            position::Position,
            sessions::{OperatorStore, SessionFilter, SessionPage, SessionStore},
            worker::{SystemWrite, WorkerStore},
            written::Written,
        },
    },
    session::{model::Session, settings::Settings, status::Status, version::Version},
    testing::{
        contract::fixtures::{assert_inserted, fresh_scope, fresh_session, stored_events},
        environment::TestEnvironment,
        writes::{
            cleanup_of, commit_parts, delete_session, insert_session, update_session,
            write_by_system,
        },
    },
};

/// Every field is read as written. Constant fields are not overwritten.
pub async fn session_round_trips_in_every_field(
    store: &impl SessionStore,
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let (session, events) = fresh_session(&scope, environment);
    assert_inserted(insert_session(store, &scope, &session, &events, None).await);
    let read = store.find(&scope, &session.id).await.expect("find");
    assert_eq!(read.as_ref(), Some(&session), "as inserted");

    let mut next = crate::testing::contract::fixtures::filled(session.clone(), environment);
    next.version = Version(2);
    let mut disguised = next.clone();
    disguised.created_at = next.created_at.plus(Duration::from_secs(9));
    disguised.created_by = None;
    let written = update_session(store, &scope, &disguised, session.expected_version(), &[], None)
        .await
        .expect("update");
    assert_eq!(written, Ok(Written::Done));
    let read = store.find(&scope, &session.id).await.expect("find");
    assert_eq!(read.as_ref(), Some(&next), "as updated");
    let expected = read.expect("the session exists").expected_version();

    let mut emptied = session.clone();
    emptied.version = Version(3);
    let written =
        update_session(store, &scope, &emptied, expected, &[], None).await.expect("update");
    assert_eq!(written, Ok(Written::Done));
    let read = store.find(&scope, &session.id).await.expect("find");
    assert_eq!(read, Some(emptied), "every field can be emptied again");
}

/// Of two writes with the same expected version one succeeds. The other writes neither state nor
/// events.
pub async fn guarded_write_happens_once(
    store: &(impl SessionStore + EventLog),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let (session, events) = fresh_session(&scope, environment);
    assert_inserted(insert_session(store, &scope, &session, &events, None).await);
    let rename = |label: &str| {
        let mut renamed = session.clone();
        renamed.settings = Settings { label: Some(label.to_owned()), ..Settings::default() };
        let change = renamed.created();
        commit_parts(change, scope.actor(), environment)
    };
    let (first, expected, new_events) = rename("first");
    let written =
        update_session(store, &scope, &first, expected, &new_events, None).await.expect("update");
    assert_eq!(written, Ok(Written::Done));
    let (second, expected, new_events) = rename("second");
    let written =
        update_session(store, &scope, &second, expected, &new_events, None).await.expect("update");
    assert_eq!(written, Ok(Written::Raced));
    let read = store.find(&scope, &session.id).await.expect("find").expect("the session exists");
    assert_eq!(read.settings.label.as_deref(), Some("first"));
    let log = stored_events(store, &scope).await;
    let sequences: Vec<_> = log.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 2], "one event for the insert, one for the one update");
}

/// Another organization, and a caller confined to other sessions, reach the session by no method.
pub async fn out_of_scope_session_is_invisible(
    store: &(impl SessionStore + EventLog + WorkerStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let (session, events) = fresh_session(&scope, environment);
    assert_inserted(insert_session(store, &scope, &session, &events, None).await);
    let confined = |scope: &Scope, session| {
        let mut caller = Caller::operator(scope.organization().clone());
        caller.reach = Reach::Only([session].into());
        caller.may(Capability::Manage).expect("may manage")
    };
    let other_scope = fresh_scope(environment);
    let outsiders = [
        // A caller that is confined to a foreign session knows the id, and still finds no session.
        confined(&other_scope, session.id.clone()),
        other_scope,
        confined(&scope, crate::id::SessionId::from_bits(environment.ulid())),
    ];
    let everything = SessionPage { filter: SessionFilter::default(), after: None, limit: 200 };
    for outside in outsiders {
        let found = SessionStore::find(store, &outside, &session.id).await.expect("find");
        assert_eq!(found, None);
        assert_eq!(store.list(&outside, &everything).await.expect("list"), []);
        assert_eq!(stored_events(store, &outside).await, []);
        let change = session.clone().created();
        let (next, expected, new_events) = commit_parts(change, outside.actor(), environment);
        let written = update_session(store, &outside, &next, expected, &new_events, None).await;
        assert_eq!(written.expect("update"), Ok(Written::Raced));
        let (_, cleanup) = deletion_of(&session, &outside, environment);
        let written = delete_session(store, &outside, session.version, &cleanup, &[]).await;
        assert_eq!(written.expect("delete"), Ok(Written::Raced));
    }
    let read = SessionStore::find(store, &scope, &session.id).await.expect("find");
    assert_eq!(read, Some(session), "untouched");
    assert_eq!(stored_events(store, &scope).await, events, "no new events");
}

/// Pages have no gap and no overlap, newest first, also with equal times and concurrent inserts.
/// Pages of a confined caller contain the sessions within reach.
pub async fn session_pages_cover_every_session_once(store: &impl SessionStore) {
    let environment = TestEnvironment::new();
    environment.advance(Duration::from_millis(std::process::id().into()));
    let scope = fresh_scope(&*environment);
    let mut all = Vec::new();
    for n in 0..25 {
        // Every third session has the same time as the one before.
        environment.advance(Duration::from_millis(u64::from(n % 3 != 0)));
        let (session, events) = fresh_session(&scope, &*environment);
        assert_inserted(insert_session(store, &scope, &session, &events, None).await);
        all.push(session);
    }
    all.reverse();
    let mut observed: Vec<Session> = Vec::new();
    loop {
        let after = observed
            .last()
            .map(|last| Position { created_at: last.created_at, id: last.id.clone() });
        let page = store
            .list(&scope, &SessionPage { filter: SessionFilter::default(), after, limit: 4 })
            .await
            .expect("list");
        assert!(page.len() <= 4);
        if page.is_empty() {
            break;
        }
        observed.extend(page);
        // A session that is inserted meanwhile is newer than every remaining page.
        environment.advance(Duration::from_secs(1));
        let (late, events) = fresh_session(&scope, &*environment);
        assert_inserted(insert_session(store, &scope, &late, &events, None).await);
    }
    assert_eq!(observed, all);

    let mut caller = Caller::operator(scope.organization().clone());
    caller.reach = Reach::Only([all[3].id.clone(), all[20].id.clone()].into());
    let confined = caller.may(Capability::Manage).expect("may manage");
    let page = store
        .list(&confined, &SessionPage { filter: SessionFilter::default(), after: None, limit: 10 })
        .await
        .expect("list");
    assert_eq!(page, [all[3].clone(), all[20].clone()]);
}

/// A filter returns the sessions that meet all conditions, in every combination.
pub async fn filter_conditions_are_combined_with_and(
    store: &impl SessionStore,
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let mut all = Vec::new();
    for n in 0..6 {
        let (session, events) = fresh_session(&scope, environment);
        assert_inserted(insert_session(store, &scope, &session, &events, None).await);
        let mut next = session.clone();
        if n % 2 == 0 {
            next = crate::testing::contract::fixtures::filled(session.clone(), environment);
        }
        if n % 3 == 0 {
            (next.settings.label, next.observed.status) = (Some("x%_".to_owned()), Status::Failed);
        }
        next.version = Version(2);
        let written = update_session(store, &scope, &next, session.expected_version(), &[], None)
            .await
            .expect("update");
        assert_eq!(written, Ok(Written::Done));
        all.insert(0, next);
    }
    let labels = [None, Some("x%_".to_owned()), Some("x__".to_owned()), Some(String::new())];
    let gateways =
        [None, crate::id::GatewayId::parse("gw-contract"), crate::id::GatewayId::parse("gw-x")];
    let phones = [None, Some("15551234567".to_owned()), Some("1555123456".to_owned())];
    let statuses = [vec![], vec![Status::Failed], vec![Status::Failed, Status::ScanQrCode]];
    for (label, gateway) in labels.iter().flat_map(|l| gateways.iter().map(move |g| (l, g))) {
        for (phone, statuses) in phones.iter().flat_map(|p| statuses.iter().map(move |s| (p, s))) {
            let filter = SessionFilter {
                statuses: statuses.clone(),
                label: label.clone(),
                gateway: gateway.clone(),
                phone: phone.clone(),
            };
            let expected: Vec<_> = all.iter().filter(|s| filter.matches(s)).cloned().collect();
            let page = SessionPage { filter: filter.clone(), after: None, limit: 10 };
            assert_eq!(store.list(&scope, &page).await.expect("list"), expected, "{filter:?}");
        }
    }
}

/// Operators see the sessions of every organization, or of one, newest first.
pub async fn operators_see_sessions_of_every_organization(
    store: &(impl SessionStore + OperatorStore),
    environment: &dyn Environment,
) {
    let scopes = [fresh_scope(environment), fresh_scope(environment)];
    let mut all = Vec::new();
    for n in 0..6 {
        let scope = &scopes[n % 2];
        let (session, events) = fresh_session(scope, environment);
        assert_inserted(insert_session(store, scope, &session, &events, None).await);
        all.insert(0, session);
    }
    let page = |after: Option<&Session>, limit| SessionPage {
        filter: SessionFilter::default(),
        after: after.map(|s| Position { created_at: s.created_at, id: s.id.clone() }),
        limit,
    };
    for scope in &scopes {
        let mine = |session: &&Session| session.organization == *scope.organization();
        let expected: Vec<_> = all.iter().filter(mine).cloned().collect();
        let found = store.sessions(Some(scope.organization()), &page(None, 10)).await;
        assert_eq!(found.expect("list"), expected);
        let rest = store.sessions(Some(scope.organization()), &page(Some(&expected[0]), 10)).await;
        assert_eq!(rest.expect("list"), expected[1..]);
    }
    // Other suites may share the store. Their sessions are newer or older, never in between.
    let mut observed: Vec<Session> = Vec::new();
    while observed.len() < 1_000 {
        let found = store.sessions(None, &page(observed.last(), 100)).await.expect("list");
        if found.is_empty() {
            break;
        }
        observed.extend(found);
    }
    let ours = |session: &Session| scopes.iter().any(|s| *s.organization() == session.organization);
    observed.retain(ours);
    assert_eq!(observed, all);
    let filter = SessionFilter { statuses: vec![Status::Working], ..SessionFilter::default() };
    let none = SessionPage { filter, after: None, limit: 10 };
    let found = store.sessions(Some(scopes[0].organization()), &none).await.expect("list");
    assert_eq!(found, []);
}

/// A delete replaces the session with its cleanup and event. A second delete finds no session.
pub async fn delete_replaces_session_with_cleanup(
    store: &(impl SessionStore + EventLog + WorkerStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let (mut session, events) = fresh_session(&scope, environment);
    session.gateway = crate::id::GatewayId::parse(&format!("gw-{}", environment.ulid()));
    assert_inserted(insert_session(store, &scope, &session, &events, None).await);
    let (new_events, cleanup) = deletion_of(&session, &scope, environment);
    let written = delete_session(store, &scope, session.version, &cleanup, &new_events).await;
    assert_eq!(written.expect("delete"), Ok(Written::Done));
    assert_eq!(SessionStore::find(store, &scope, &session.id).await.expect("find"), None);
    assert_eq!(WorkerStore::find(store, &session.id).await.expect("find"), None);
    let gateway = session.gateway.clone().expect("placed");
    let cleaning_up = store.pending_cleanups(&gateway).await.expect("pending cleanups");
    assert_eq!(cleaning_up, std::slice::from_ref(&session.id));
    let log = stored_events(store, &scope).await;
    assert_eq!(log, [events, new_events.clone()].concat());
    let again = delete_session(store, &scope, session.version, &cleanup, &new_events).await;
    assert_eq!(again.expect("delete"), Ok(Written::Raced));
    assert_eq!(stored_events(store, &scope).await.len(), 2, "no second event");
}

/// A session that no node held leaves its events only.
pub async fn complete_cleanup_leaves_events_only(
    store: &(impl SessionStore + EventLog + WorkerStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let (session, events) = fresh_session(&scope, environment);
    assert_inserted(insert_session(store, &scope, &session, &events, None).await);
    let (mut new_events, mut cleanup) = deletion_of(&session, &scope, environment);
    new_events.extend(
        cleanup.report_outcome(crate::session::unlink::LogoutOutcome::NotLinked, environment),
    );
    let written = delete_session(store, &scope, session.version, &cleanup, &new_events).await;
    assert_eq!(written.expect("delete"), Ok(Written::Done));
    assert_eq!(SessionStore::find(store, &scope, &session.id).await.expect("find"), None);
    // The finish of a missing cleanup writes no events.
    let more_events = deletion_of(&session, &scope, environment).0;
    let finished = write_by_system(store, SystemWrite::Finish(cleanup), &more_events).await;
    assert_eq!(finished.expect("finish"), Written::Raced);
    let log = stored_events(store, &scope).await;
    assert_eq!(log, [events, new_events].concat());
}

fn deletion_of(
    session: &Session,
    scope: &Scope,
    environment: &dyn Environment,
) -> (Vec<crate::event::Event>, crate::cleanup::Cleanup) {
    let cleanup = cleanup_of(session, scope, environment.now());
    (vec![cleanup.deletion_event(environment)], cleanup)
}
