//! Single commits, as tests of stores and of their users write them.

use crate::{
    access::Scope,
    api_key::{model::ApiKey, write::KeyWrite},
    caller::Actor,
    cleanup::Cleanup,
    commit::Commit,
    deadlines::Deadlines,
    event::Event,
    id::KeyId,
    idempotency::IdempotencyRecord,
    link_attempt::LinkAttempt,
    ports::{
        environment::Environment,
        error::PortResult,
        store::{
            keys::ApiKeyStore,
            sessions::SessionStore,
            worker::{SystemWrite, WorkerStore},
            written::{CommitOutcome, Written},
        },
    },
    session::{
        change::Change,
        model::Session,
        partial_session::PartialSession,
        version::{ExpectedVersion, StoredVersion},
        write::{SessionUpdate, SessionWrite},
    },
    time::Timestamp,
};

/// Commits a change of a session. See [`SessionStore::commit`].
///
/// # Errors
/// Errors of the store.
pub async fn write_session(
    store: &impl SessionStore,
    scope: &Scope,
    change: SessionWrite,
    events: &[Event],
    record: Option<&IdempotencyRecord>,
) -> PortResult<CommitOutcome> {
    let commit = Commit { change, events: events.to_vec(), idempotency: record.cloned() };
    store.commit(scope, &commit).await
}

/// Inserts a session.
///
/// # Errors
/// Errors of the store.
pub async fn insert_session(
    store: &impl SessionStore,
    scope: &Scope,
    session: &Session,
    events: &[Event],
    record: Option<&IdempotencyRecord>,
) -> PortResult<CommitOutcome> {
    write_session(store, scope, SessionWrite::Insert(session.clone(), None), events, record).await
}

/// Replaces a session.
///
/// # Errors
/// Errors of the store.
pub async fn update_session(
    store: &impl SessionStore,
    scope: &Scope,
    session: &Session,
    expected: ExpectedVersion,
    events: &[Event],
    record: Option<&IdempotencyRecord>,
) -> PortResult<CommitOutcome> {
    let update = SessionUpdate { session: session.clone(), expected };
    write_session(store, scope, SessionWrite::Update(update, None), events, record).await
}

/// Begins a link attempt: inserts a session, or replaces the session of the expected version.
///
/// # Errors
/// Errors of the store.
pub async fn link_session(
    store: &impl SessionStore,
    scope: &Scope,
    session: &Session,
    expected: Option<ExpectedVersion>,
    events: &[Event],
    attempt: &LinkAttempt,
) -> PortResult<CommitOutcome> {
    let (session, attempt) = (session.clone(), Some(attempt.clone()));
    let change = match expected {
        None => SessionWrite::Insert(session, attempt),
        Some(expected) => SessionWrite::Update(SessionUpdate { session, expected }, attempt),
    };
    write_session(store, scope, change, events, None).await
}

/// Deletes a session.
///
/// # Errors
/// Errors of the store.
pub async fn delete_session(
    store: &impl SessionStore,
    scope: &Scope,
    version: impl Into<StoredVersion>,
    cleanup: &Cleanup,
    events: &[Event],
) -> PortResult<CommitOutcome> {
    let change = SessionWrite::Delete(cleanup.clone(), version.into());
    write_session(store, scope, change, events, None).await
}

/// Inserts a key.
///
/// # Errors
/// Errors of the store.
pub async fn insert_key(
    store: &impl ApiKeyStore,
    scope: &Scope,
    key: &ApiKey,
    events: &[Event],
    record: Option<&IdempotencyRecord>,
) -> PortResult<CommitOutcome> {
    let (change, events) = (KeyWrite::Insert(key.clone()), events.to_vec());
    store.commit(scope, &Commit { change, events, idempotency: record.cloned() }).await
}

/// Revokes a key.
///
/// # Errors
/// Errors of the store.
pub async fn revoke_key(
    store: &impl ApiKeyStore,
    scope: &Scope,
    id: &KeyId,
    at: Timestamp,
    events: &[Event],
) -> PortResult<CommitOutcome> {
    let (change, events) = (KeyWrite::Revoke { id: id.clone(), at }, events.to_vec());
    store.commit(scope, &Commit { change, events, idempotency: None }).await
}

/// Replaces a session without a scope, as the worker does.
///
/// # Errors
/// Errors of the store.
pub async fn update_by_system(
    store: &impl WorkerStore,
    session: &Session,
    expected: ExpectedVersion,
    events: &[Event],
) -> PortResult<Written> {
    let update = SessionUpdate { session: session.clone(), expected };
    write_by_system(store, SystemWrite::Update(update), events).await
}

/// Commits a change of the worker. See [`WorkerStore::commit`].
///
/// # Errors
/// Errors of the store.
pub async fn write_by_system(
    store: &impl WorkerStore,
    change: SystemWrite,
    events: &[Event],
) -> PortResult<Written> {
    store.commit(&Commit { change, events: events.to_vec(), idempotency: () }).await
}

/// Returns the cleanup that remains when a session is deleted at `now`.
pub fn cleanup_of(session: &Session, scope: &Scope, now: Timestamp) -> Cleanup {
    PartialSession::from(session).cleanup(scope, now, &Deadlines::default())
}

/// Returns the next state, the condition on the stored row and the events of a change.
pub fn commit_parts(
    change: Change,
    actor: &Actor,
    environment: &dyn Environment,
) -> (Session, ExpectedVersion, Vec<Event>) {
    let commit = change.into_commit(actor, environment);
    (commit.change.session, commit.change.expected, commit.events)
}
