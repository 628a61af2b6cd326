//! Suite of [`IdempotencyStore`] and of records that are written with a change.

use std::time::Duration;

use crate::{
    access::Scope,
    api_key::model::ApiKey,
    caller::Capabilities,
    id::KeyId,
    idempotency::{IdempotencyKeyHash, IdempotencyRecord},
    ports::{
        environment::Environment,
        store::{
            events::EventLog,
            idempotency::IdempotencyStore,
            keys::ApiKeyStore,
            sessions::{SessionFilter, SessionPage, SessionStore},
            worker::WorkerStore,
            written::{Rejection, Written},
        },
    },
    session::model::Session,
    testing::{
        contract::fixtures::{assert_inserted, fresh_scope, fresh_session, stored_events},
        writes::{commit_parts, insert_key, insert_session, update_session},
    },
    time::Timestamp,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The first record of a key hash stays until it expires. Afterwards the key hash can be used
/// again.
pub async fn idempotency_record_is_stored_once_until_it_expires(
    store: &(impl IdempotencyStore + WorkerStore),
    environment: &dyn Environment,
) {
    let (scope, now) = (fresh_scope(environment), environment.now());
    let key_hash = fresh_key_hash(environment);
    assert_eq!(IdempotencyStore::find(store, &scope, &key_hash, now).await.expect("find"), None);
    let first = record(key_hash, b"first", now.plus(DAY));
    assert_eq!(store.record(&scope, &first, now).await.expect("record"), Ok(()));
    let second = record(key_hash, b"second", now.plus(DAY));
    assert_eq!(store.record(&scope, &second, now).await.expect("record"), Err(Rejection::Repeated));
    assert_eq!(find_record(store, &scope, &key_hash, now).await, Some(first.clone()));

    let amended = IdempotencyRecord { response: b"first, later".to_vec(), ..first.clone() };
    store.amend(&scope, &amended).await.expect("amend");
    assert_eq!(find_record(store, &scope, &key_hash, now).await, Some(amended.clone()));
    let other =
        IdempotencyRecord { request: [9; 32], response: b"another".to_vec(), ..first.clone() };
    store.amend(&scope, &other).await.expect("amend");
    assert_eq!(
        find_record(store, &scope, &key_hash, now).await,
        Some(amended),
        "the record of another request stays"
    );
    let nowhere = record(fresh_key_hash(environment), b"nowhere", now.plus(DAY));
    store.amend(&scope, &nowhere).await.expect("amend");
    assert_eq!(find_record(store, &scope, &nowhere.key_hash, now).await, None);

    let last = now.plus(Duration::from_secs(24 * 60 * 60 - 1));
    assert!(find_record(store, &scope, &key_hash, last).await.is_some());
    assert_eq!(
        store.record(&scope, &second, last).await.expect("record"),
        Err(Rejection::Repeated)
    );
    let over = now.plus(DAY);
    assert_eq!(find_record(store, &scope, &key_hash, over).await, None);
    let third = record(key_hash, b"third", over.plus(DAY));
    assert_eq!(store.record(&scope, &third, over).await.expect("record"), Ok(()));
    assert_eq!(find_record(store, &scope, &key_hash, over).await, Some(third.clone()));

    let stale = record(fresh_key_hash(environment), b"stale", now);
    assert_eq!(store.record(&scope, &stale, now).await.expect("record"), Ok(()));
    while store.sweep_idempotency_records(over, 2).await.expect("sweep") > 0 {}
    assert_eq!(find_record(store, &scope, &key_hash, over).await, Some(third), "not expired");
    let before = Timestamp::from_millis(now.millis() - 1);
    assert_eq!(find_record(store, &scope, &stale.key_hash, before).await, None, "swept");
}

/// A change and its record are written together or not at all.
pub async fn idempotency_record_is_atomic_with_its_change(
    store: &(impl SessionStore + ApiKeyStore + IdempotencyStore + EventLog),
    environment: &dyn Environment,
) {
    let (scope, now) = (fresh_scope(environment), environment.now());
    let everything = SessionPage { filter: SessionFilter::default(), after: None, limit: 200 };
    let created = record(fresh_key_hash(environment), b"created", now.plus(DAY));
    let (session, events) = fresh_session(&scope, environment);
    assert_inserted(insert_session(store, &scope, &session, &events, Some(&created)).await);
    assert_eq!(find_record(store, &scope, &created.key_hash, now).await.as_ref(), Some(&created));
    let (twin, new_events) = fresh_session(&scope, environment);
    let written = insert_session(store, &scope, &twin, &new_events, Some(&created)).await;
    assert_eq!(written.expect("insert"), Err(Rejection::Repeated));
    let listed = SessionStore::list(store, &scope, &everything).await.expect("list");
    assert_eq!(listed, std::slice::from_ref(&session), "no second session");

    let renamed = record(fresh_key_hash(environment), b"renamed", now.plus(DAY));
    let (next, expected, new_events) =
        commit_parts(rename(&session, "once"), scope.actor(), environment);
    let version = crate::session::version::Version(expected.version.0 + 7);
    let stale = crate::session::version::ExpectedVersion { version, ..expected };
    let written = update_session(store, &scope, &next, stale, &new_events, Some(&renamed)).await;
    assert_eq!(written.expect("update"), Ok(Written::Raced));
    assert_eq!(
        find_record(store, &scope, &renamed.key_hash, now).await,
        None,
        "no record without a change"
    );
    let written = update_session(store, &scope, &next, expected, &new_events, Some(&renamed)).await;
    assert_eq!(written.expect("update"), Ok(Written::Done));
    assert_eq!(find_record(store, &scope, &renamed.key_hash, now).await.as_ref(), Some(&renamed));
    let (twice, expected, new_events) =
        commit_parts(rename(&next, "twice"), scope.actor(), environment);
    let written =
        update_session(store, &scope, &twice, expected, &new_events, Some(&renamed)).await;
    assert_eq!(written.expect("update"), Err(Rejection::Repeated));
    let found = SessionStore::find(store, &scope, &session.id).await.expect("find");
    assert_eq!(found, Some(next), "not changed again");

    let made = record(fresh_key_hash(environment), b"made", now.plus(DAY));
    let (first, second) = (key(&scope, environment), key(&scope, environment));
    assert_inserted(insert_key(store, &scope, &first, &[], Some(&made)).await);
    let written = insert_key(store, &scope, &second, &[], Some(&made)).await;
    assert_eq!(written.expect("insert"), Err(Rejection::Repeated));
    assert_eq!(ApiKeyStore::find(store, &scope, &second.id).await.expect("find"), None);
    let log = stored_events(store, &scope).await;
    assert_eq!(log.len(), 2, "one event of the insert, one of the update");
}

/// The same key hash in another organization is another record.
pub async fn idempotency_record_is_invisible_to_other_organizations(
    store: &(impl SessionStore + IdempotencyStore),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let now = environment.now();
    let mine = record(fresh_key_hash(environment), b"mine", now.plus(DAY));
    assert_eq!(store.record(&scope, &mine, now).await.expect("record"), Ok(()));
    assert_eq!(find_record(store, &other_scope, &mine.key_hash, now).await, None);
    let foreign = IdempotencyRecord { response: b"foreign".to_vec(), ..mine.clone() };
    store.amend(&other_scope, &foreign).await.expect("amend");
    assert_eq!(
        find_record(store, &scope, &mine.key_hash, now).await,
        Some(mine.clone()),
        "not replaced"
    );
    let (session, events) = fresh_session(&other_scope, environment);
    assert_inserted(insert_session(store, &other_scope, &session, &events, Some(&foreign)).await);
    assert_eq!(find_record(store, &other_scope, &mine.key_hash, now).await, Some(foreign));
    assert_eq!(find_record(store, &scope, &mine.key_hash, now).await, Some(mine.clone()));
    // The replacement of an expired record leaves the records of other organizations.
    let over = now.plus(DAY);
    let later = record(mine.key_hash, b"later", over.plus(DAY));
    assert_eq!(store.record(&other_scope, &later, over).await.expect("record"), Ok(()));
    assert_eq!(find_record(store, &scope, &mine.key_hash, now).await, Some(mine), "not removed");
}

async fn find_record(
    store: &impl IdempotencyStore,
    scope: &Scope,
    key_hash: &IdempotencyKeyHash,
    now: Timestamp,
) -> Option<IdempotencyRecord> {
    IdempotencyStore::find(store, scope, key_hash, now).await.expect("find")
}

fn rename(session: &Session, label: &str) -> crate::session::change::Change {
    let mut renamed = session.clone();
    renamed.settings.label = Some(label.to_owned());
    renamed.created()
}

pub(super) fn fresh_key_hash(environment: &dyn Environment) -> IdempotencyKeyHash {
    let mut key_hash = [0; 32];
    key_hash[..16].copy_from_slice(&environment.ulid().to_be_bytes());
    key_hash[16..].copy_from_slice(&u128::from(std::process::id()).to_be_bytes());
    IdempotencyKeyHash(key_hash)
}

pub(super) fn record(
    key_hash: IdempotencyKeyHash,
    response: &[u8],
    expires_at: Timestamp,
) -> IdempotencyRecord {
    IdempotencyRecord { key_hash, request: [7; 32], response: response.to_vec(), expires_at }
}

fn key(scope: &Scope, environment: &dyn Environment) -> ApiKey {
    ApiKey {
        id: KeyId::from_bits(environment.ulid()),
        organization: scope.organization().clone(),
        name: "k".to_owned(),
        capabilities: Capabilities::of_role("member"),
        sessions: None,
        digest: [0; 32],
        created_by: scope.actor().clone(),
        created_at: environment.now(),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    }
}
