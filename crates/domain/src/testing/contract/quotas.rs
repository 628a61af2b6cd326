//! Suite of resource quotas, for stores with the limits of [`small_quotas`].

use std::time::Duration;

use crate::{
    access::Scope,
    event::Event,
    ports::{
        environment::Environment,
        error::PortResult,
        store::{
            events::EventLog,
            idempotency::IdempotencyStore,
            keys::ApiKeyStore,
            sessions::{SessionFilter, SessionPage, SessionStore},
            worker::WorkerStore,
            written::{Rejection, Written},
        },
    },
    resource_quota::{Quotas, Resource, ResourceLimitReached, ResourceLimits},
    session::model::Session,
    testing::{
        contract::{
            fixtures::{assert_inserted, fresh_scope, fresh_session, stored_events},
            idempotency::{fresh_key_hash, record},
            keys::key,
        },
        writes::{
            cleanup_of, commit_parts, delete_session, insert_key, insert_session, revoke_key,
            update_session,
        },
    },
};

const ALL: SessionPage = SessionPage {
    filter: SessionFilter { statuses: Vec::new(), label: None, gateway: None, phone: None },
    after: None,
    limit: 200,
};

/// Returns limits that a suite can fill.
pub fn small_quotas() -> Quotas {
    let default = ResourceLimits {
        sessions: Some(3),
        api_keys: Some(2),
        webhooks: Some(2),
        share_links: Some(2),
        idempotency_records: Some(100),
        metadata: Some(30),
    };
    Quotas { default, overrides: [].into() }
}

fn limit_reached<T>(resource: Resource, limit: u64, used: u64) -> Result<T, Rejection> {
    Err(Rejection::Full(ResourceLimitReached { resource, limit, used }))
}

fn assert_resource_limited<T: std::fmt::Debug + PartialEq>(
    written: PortResult<Result<T, Rejection>>,
    resource: Resource,
    limit: u64,
    used: u64,
) {
    assert_eq!(written.expect("a result"), limit_reached(resource, limit, used));
}

/// Returns a new session whose metadata takes 9 bytes plus the note, or none without a note.
fn session_with_note(
    scope: &Scope,
    note: &str,
    environment: &dyn Environment,
) -> (Session, Vec<Event>) {
    let (mut session, events) = fresh_session(scope, environment);
    if !note.is_empty() {
        session.settings.metadata = [("note".to_owned(), note.to_owned())].into();
    }
    (session, events)
}

async fn delete(
    store: &impl SessionStore,
    scope: &Scope,
    session: &Session,
    environment: &dyn Environment,
) {
    let rest = cleanup_of(session, scope, environment.now());
    let events = [rest.deletion_event(environment)];
    let gone = delete_session(store, scope, session.version, &rest, &events).await;
    assert_eq!(gone.expect("delete"), Ok(Written::Done));
}

/// Sessions fill their quota exactly. A session above the limit leaves no rows, a delete frees
/// room, and other organizations are not affected.
pub async fn sessions_fill_their_quota(
    store: &(impl SessionStore + EventLog + IdempotencyStore),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let mut made = Vec::new();
    for _ in 0..3 {
        let (session, events) = fresh_session(&scope, environment);
        assert_inserted(insert_session(store, &scope, &session, &events, None).await);
        made.push(session);
    }
    let (fourth, events) = fresh_session(&scope, environment);
    let record = record(fresh_key_hash(environment), b"made", environment.now().plus(DAY));
    for record in [None, Some(&record)] {
        let written = insert_session(store, &scope, &fourth, &events, record).await;
        assert_resource_limited(written, Resource::Sessions, 3, 3);
    }
    let found = SessionStore::find(store, &scope, &fourth.id).await.expect("find");
    assert_eq!(found, None, "no row of the session");
    assert_eq!(stored_events(store, &scope).await.len(), 3);
    let now = environment.now();
    let found = IdempotencyStore::find(store, &scope, &record.key_hash, now).await.expect("find");
    assert_eq!(found, None);

    let (other, events) = fresh_session(&other_scope, environment);
    assert_inserted(insert_session(store, &other_scope, &other, &events, None).await);
    delete(store, &scope, &made[0], environment).await;
    let (fourth, events) = fresh_session(&scope, environment);
    assert_inserted(insert_session(store, &scope, &fourth, &events, Some(&record)).await);
    assert_eq!(store.list(&scope, &ALL).await.expect("list").len(), 3);
    let (fifth, events) = fresh_session(&scope, environment);
    assert_resource_limited(
        insert_session(store, &scope, &fifth, &events, None).await,
        Resource::Sessions,
        3,
        3,
    );
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Growing metadata must fit. Other changes are never refused for it.
pub async fn metadata_fills_its_quota(store: &impl SessionStore, environment: &dyn Environment) {
    let scope = fresh_scope(environment);
    let (first, events) = session_with_note(&scope, "0123456789", environment);
    assert_inserted(insert_session(store, &scope, &first, &events, None).await);
    let (second, events) = session_with_note(&scope, "x23", environment);
    assert_resource_limited(
        insert_session(store, &scope, &second, &events, None).await,
        Resource::Metadata,
        30,
        19,
    );
    let (second, events) = session_with_note(&scope, "", environment);
    assert_inserted(insert_session(store, &scope, &second, &events, None).await);

    let set = async |session: &Session, note: &str, label: &str| {
        let mut next = session.clone();
        next.settings.label = Some(label.to_owned());
        next.settings.metadata.clear();
        if !note.is_empty() {
            next.settings.metadata.insert("note".to_owned(), note.to_owned());
        }
        let (next, expected_version, events) =
            commit_parts(next.created(), scope.actor(), environment);
        let written = update_session(store, &scope, &next, expected_version, &events, None)
            .await
            .expect("update");
        let found = SessionStore::find(store, &scope, &session.id).await.expect("find");
        let found = found.expect("the session exists");
        assert_eq!(found.settings == next.settings, written == Ok(Written::Done));
        (written, found)
    };
    let (written, _) = set(&second, "too much", "a").await;
    assert_eq!(written, limit_reached(Resource::Metadata, 30, 19), "the write exceeds the limit");
    let (written, second) = set(&second, "ok", "b").await;
    assert_eq!(written, Ok(Written::Done), "the write fills the quota exactly");
    let (written, first) = set(&first, "0123456789", "c").await;
    assert_eq!(written, Ok(Written::Done), "other settings can change");
    let (written, first) = set(&first, "012345678", "c").await;
    assert_eq!(written, Ok(Written::Done), "metadata can shrink");
    let (written, _) = set(&second, "okay", "b").await;
    assert_eq!(written, limit_reached(Resource::Metadata, 30, 29), "one byte above the limit");
    delete(store, &scope, &first, environment).await;
    let (written, second) = set(&second, "room for more", "b").await;
    assert_eq!(written, Ok(Written::Done), "a deletion makes room");
    let mut stale = second.expected_version();
    stale.version.0 += 1;
    let mut next = second.clone();
    next.settings.metadata.insert("k".to_owned(), "v".to_owned());
    let raced = update_session(store, &scope, &next, stale, &[], None).await.expect("update");
    assert_eq!(raced, Ok(Written::Raced), "a race is not a full quota");
}

/// Keys fill their quota. A revocation frees room.
pub async fn api_keys_fill_their_quota(store: &impl ApiKeyStore, environment: &dyn Environment) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let [first, second, third] = [(), (), ()].map(|()| key(&scope, environment, false));
    assert_inserted(insert_key(store, &scope, &first, &[], None).await);
    assert_inserted(insert_key(store, &scope, &second, &[], None).await);
    assert_resource_limited(
        insert_key(store, &scope, &third, &[], None).await,
        Resource::ApiKeys,
        2,
        2,
    );
    assert_eq!(store.find(&scope, &third.id).await.expect("find"), None);
    let other = key(&other_scope, environment, false);
    assert_inserted(insert_key(store, &other_scope, &other, &[], None).await);
    let now = environment.now();
    for (id, done) in [(&first.id, Ok(Written::Done)), (&first.id, Ok(Written::Raced))] {
        assert_eq!(revoke_key(store, &scope, id, now, &[]).await.expect("revoke"), done);
    }
    assert_inserted(insert_key(store, &scope, &third, &[], None).await);
    let fourth = key(&scope, environment, false);
    assert_resource_limited(
        insert_key(store, &scope, &fourth, &[], None).await,
        Resource::ApiKeys,
        2,
        2,
    );
}

/// Recorded responses fill their quota, with and without a change. The removal of expired records
/// frees room.
pub async fn idempotency_records_fill_their_quota(
    store: &(impl SessionStore + IdempotencyStore + WorkerStore),
    environment: &dyn Environment,
) {
    let (scope, now) = (fresh_scope(environment), environment.now());
    let expires_at = now.plus(DAY);
    let of = |bytes: usize| record(fresh_key_hash(environment), &vec![7; bytes], expires_at);
    let (first, second) = (of(60), of(30));
    assert_eq!(store.record(&scope, &first, now).await.expect("record"), Ok(()));
    let (session, events) = fresh_session(&scope, environment);
    assert_inserted(insert_session(store, &scope, &session, &events, Some(&second)).await);
    assert_eq!(store.limit_reached(&scope).await.expect("a result"), None);

    let resource = Resource::IdempotencyRecords;
    assert_resource_limited(store.record(&scope, &of(11), now).await, resource, 100, 90);
    let (session, events) = fresh_session(&scope, environment);
    let written = insert_session(store, &scope, &session, &events, Some(&of(11))).await;
    assert_resource_limited(written, resource, 100, 90);
    let found = SessionStore::find(store, &scope, &session.id).await.expect("find");
    assert_eq!(found, None, "the session is unchanged");
    assert_eq!(store.record(&scope, &second, now).await.expect("record"), Err(Rejection::Repeated));

    let amended = crate::idempotency::IdempotencyRecord { response: vec![8; 70], ..first };
    store.amend(&scope, &amended).await.expect("amend");
    let full = ResourceLimitReached { resource, limit: 100, used: 100 };
    assert_eq!(store.limit_reached(&scope).await.expect("a result"), Some(full));
    assert_eq!(store.limit_reached(&fresh_scope(environment)).await.expect("a result"), None);
    assert_resource_limited(store.record(&scope, &of(1), now).await, resource, 100, 100);
    while store.sweep_idempotency_records(expires_at, 100).await.expect("sweep") > 0 {}
    assert_eq!(store.limit_reached(&scope).await.expect("a result"), None);
    assert_eq!(store.record(&scope, &of(100), now).await.expect("record"), Ok(()));
}
