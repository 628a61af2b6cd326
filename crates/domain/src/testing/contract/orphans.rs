//! Suite of [`OrphanStore`].

use std::{sync::Arc, time::Duration};

use crate::{
    access::Scope,
    caller::Caller,
    cleanup::Cleanup,
    deadlines::Deadlines,
    error::Error,
    gateway::node::HeldSession,
    id::{GatewayId, SessionId},
    orphan::{model::Orphan, service::Orphans},
    ports::{
        environment::Environment,
        store::{
            events::EventLog,
            nodes::{NodeStore, OrphanStore},
            sessions::SessionStore,
            worker::{SystemWrite, WorkerStore},
            written::Written,
        },
    },
    session::{model::Session, unlink::LogoutOutcome},
    testing::{
        contract::fixtures::{assert_inserted, fresh_scope, fresh_session, stored_events},
        writes::{cleanup_of, delete_session, insert_session, write_by_system},
    },
};

/// An orphan is returned once, when a node holds it for the second time, and is listed until the
/// node releases it.
pub async fn orphan_is_returned_once_and_listed_while_held(
    store: &impl OrphanStore,
    environment: &dyn Environment,
) {
    let now = environment.now();
    let later = now.plus(Duration::from_secs(5));
    let name = |n: u8| {
        let text = format!("gw-{n}-{}", environment.ulid());
        GatewayId::parse(&text).expect("a valid gateway id")
    };
    let (ours, other) = (name(1), name(2));
    let mut sessions = [0; 2].map(|_| SessionId::from_bits(environment.ulid()));
    sessions.sort();
    let [one, two] = sessions;
    let held = |session: &SessionId, epoch| HeldSession { session: session.clone(), epoch };
    let both = [held(&one, 3), held(&two, 0)];
    let note = async |node: &GatewayId, held: &[HeldSession]| {
        store.note_orphans(node, held, later).await.expect("note")
    };
    let listed = async || {
        let mut all = store.orphans().await.expect("orphans");
        all.retain(|orphan| [&ours, &other].contains(&&orphan.gateway));
        all
    };
    assert!(
        store.note_orphans(&ours, &both, now).await.expect("note").is_empty(),
        "not returned at the first heartbeat"
    );
    assert!(note(&other, &both[..1]).await.is_empty(), "another node");
    assert!(listed().await.is_empty());

    assert_eq!(note(&ours, &both[..1]).await, std::slice::from_ref(&one));
    assert!(
        note(&ours, &both).await.is_empty(),
        "the first was returned before, the second is new"
    );
    let first = Orphan { session: one.clone(), gateway: ours.clone(), epoch: 3, since: now };
    assert_eq!(listed().await, std::slice::from_ref(&first));
    assert_eq!(note(&ours, &both).await, std::slice::from_ref(&two));
    let second = Orphan { session: two, epoch: 0, since: later, ..first.clone() };
    assert_eq!(listed().await, [first.clone(), second]);

    assert!(note(&ours, &both[..1]).await.is_empty());
    assert_eq!(listed().await, [first], "a released orphan is removed");
    assert!(note(&ours, &[]).await.is_empty());
    assert!(listed().await.is_empty());
    assert_eq!(note(&other, &both[..1]).await, [one], "other nodes do not matter");
}

/// An orphan whose id belonged to a deleted session can be adopted while the events of that session
/// are stored, by the same organization and by another one. Its events continue their numbers.
/// While a cleanup of the id is pending it is not adopted.
pub async fn adopted_orphan_continues_the_events_of_its_id<S>(
    store: &S,
    environment: &Arc<dyn Environment>,
) where
    S: NodeStore + SessionStore + WorkerStore + EventLog + Clone + 'static,
{
    let first = fresh_scope(&**environment);
    let (session, events) = fresh_session(&first, &**environment);
    assert_inserted(insert_session(store, &first, &session, &events, None).await);
    assert_eq!(store.last_event_sequence(&session.id).await.expect("events"), 1);
    delete(store, &session, &first, &**environment).await;
    assert_eq!(
        store.last_event_sequence(&session.id).await.expect("events"),
        3,
        "deleted and retired"
    );
    let unknown = SessionId::from_bits(environment.ulid());
    assert_eq!(store.last_event_sequence(&unknown).await.expect("events"), 0);

    let node = GatewayId::parse(&format!("gw-{}", environment.ulid())).expect("a valid id");
    let held = [HeldSession { session: session.id.clone(), epoch: 3 }];
    for _ in 0..2 {
        store.note_orphans(&node, &held, environment.now()).await.expect("note");
    }
    let (shared, deadlines) = (Arc::new(store.clone()), Deadlines::default());
    let orphans =
        Orphans::new(shared.clone(), shared.clone(), shared, environment.clone(), deadlines);
    for (scope, expected) in [(&first, 4), (&fresh_scope(&**environment), 7)] {
        let caller = Caller::operator(scope.organization().clone());
        let adopted = orphans.adopt(&caller, session.id.as_str()).await.expect("adopt");
        let log = stored_events(store, scope).await;
        let last = log.last().expect("an event of the adoption");
        assert_eq!((last.session.as_ref(), last.sequence), (Some(&session.id), expected));
        assert_eq!(adopted.sequence, expected);
        let cleanup = delete(store, &adopted, scope, &**environment).await;
        let again = orphans.adopt(&caller, session.id.as_str()).await;
        assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
        let finished = write_by_system(store, SystemWrite::Finish(cleanup), &[]).await;
        assert_eq!(finished.expect("finish"), Written::Done);
    }
}

/// Deletes the session without a device to unlink: two events, and a cleanup if a node has keys.
async fn delete(
    store: &(impl SessionStore + WorkerStore),
    session: &Session,
    scope: &Scope,
    environment: &dyn Environment,
) -> Cleanup {
    let mut cleanup = cleanup_of(session, scope, environment.now());
    let mut events = vec![cleanup.deletion_event(environment)];
    events.extend(cleanup.report_outcome(LogoutOutcome::NotLinked, environment));
    let written = delete_session(store, scope, session.version, &cleanup, &events).await;
    assert_eq!(written.expect("delete"), Ok(Written::Done));
    cleanup
}
