//! Suite of writes into another organization or out of the scope. An insert has no condition that a
//! foreign row could fail, so the values are checked.

use std::time::Duration;

use crate::{
    access::Scope,
    api_key::model::ApiKey,
    caller::{Caller, Capabilities, Capability, Reach},
    event::{Event, payload::EventPayload},
    id::{KeyId, SessionId},
    link_attempt::LinkAttempt,
    ports::{
        authn::PresentedKey,
        environment::Environment,
        error::{PortError, PortResult},
        store::{
            events::EventLog,
            idempotency::IdempotencyStore,
            keys::{ApiKeyStore, KeyDirectory, KeyPage},
            sessions::SessionStore,
            written::Written,
        },
    },
    rate_quota::RateQuota,
    session::{
        model::Session,
        version::Version,
        write::{SessionUpdate, SessionWrite},
    },
    testing::{
        contract::{
            fixtures::{assert_inserted, fresh_scope, fresh_session, stored_events},
            idempotency::{fresh_key_hash, record},
            link_attempt::attempt,
        },
        writes::{
            cleanup_of, delete_session, insert_key, insert_session, link_session, revoke_key,
            update_session, write_session,
        },
    },
};

/// No method writes a row of another organization than the scope's. The other rows of the same
/// write are not written either.
pub async fn cross_organization_writes_are_rejected(
    store: &(impl SessionStore + ApiKeyStore + KeyDirectory + EventLog),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let (session, events) = fresh_session(&scope, environment);
    assert_inserted(insert_session(store, &scope, &session, &events, None).await);
    let key = key(&scope, environment);
    assert_inserted(insert_key(store, &scope, &key, &[], None).await);
    let foreign_events = [foreign_event(&other_scope, environment)];

    let (foreign, theirs) = fresh_session(&other_scope, environment);
    assert_rejected(&insert_session(store, &scope, &foreign, &theirs, None).await);
    let (mine, _) = fresh_session(&scope, environment);
    assert_rejected(&insert_session(store, &scope, &mine, &foreign_events, None).await);
    let mut next = session.clone();
    next.version = Version(session.version.0 + 1);
    assert_rejected(
        &update_session(store, &scope, &next, session.expected_version(), &foreign_events, None)
            .await,
    );
    reject_foreign_cleanup(store, &scope, &other_scope, &session, environment).await;

    let foreign = self::key(&other_scope, environment);
    assert_rejected(&insert_key(store, &scope, &foreign, &[], None).await);
    assert_rejected(
        &insert_key(store, &scope, &self::key(&scope, environment), &foreign_events, None).await,
    );
    assert_rejected(&revoke_key(store, &scope, &key.id, environment.now(), &foreign_events).await);

    let found = SessionStore::find(store, &scope, &session.id).await.expect("find");
    assert_eq!(found, Some(session), "unchanged");
    let page = KeyPage { after: None, limit: 10 };
    assert_eq!(ApiKeyStore::list(store, &scope, &page).await.expect("list"), [key]);
    let shown = PresentedKey { id: foreign.id, digest: foreign.digest };
    let found = KeyDirectory::find(store, &shown, environment.now()).await.expect("find");
    assert_eq!(found, None);
    assert_eq!(stored_events(store, &scope).await, events);
    assert_eq!(stored_events(store, &other_scope).await, []);
}

/// A write from outside the scope finds no session, with and without an idempotency record or a link
/// attempt. Neither the record nor the attempt is stored.
pub async fn out_of_scope_write_finds_no_session(
    store: &(impl SessionStore + EventLog + IdempotencyStore),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let now = environment.now();
    let (session, events) = fresh_session(&scope, environment);
    assert_inserted(insert_session(store, &scope, &session, &events, None).await);
    let link = |session: &Session| LinkAttempt {
        organization_quota: RateQuota { count: 1, ..LinkAttempt::ORGANIZATION_QUOTA },
        ..attempt(session, None, now)
    };
    for outside in [
        confined(&other_scope, session.id.clone()),
        other_scope.clone(),
        confined(&scope, SessionId::from_bits(environment.ulid())),
    ] {
        let mut next = session.clone();
        (next.version.0, next.settings.label) = (session.version.0 + 1, Some("taken".to_owned()));
        let update = SessionUpdate { session: next, expected: session.expected_version() };
        let cleanup = cleanup_of(&session, &outside, now);
        let record = record(fresh_key_hash(environment), b"outside", now.plus(HOUR));
        for change in [
            SessionWrite::Update(update.clone(), None),
            SessionWrite::Update(update, Some(link(&session))),
            SessionWrite::Delete(cleanup, session.version.into()),
        ] {
            for record in [None, Some(&record)] {
                let written = write_session(store, &outside, change.clone(), &[], record).await;
                assert_eq!(written.expect("write"), Ok(Written::Raced), "{change:?}");
            }
        }
        let stored = IdempotencyStore::find(store, &outside, &record.key_hash, now).await;
        assert_eq!(stored.expect("find"), None);
        assert_eq!(store.partial_session(&outside, &session.id).await.expect("find"), None);
    }
    let found = SessionStore::find(store, &scope, &session.id).await.expect("find");
    assert_eq!(found, Some(session), "unchanged");
    assert_eq!(stored_events(store, &scope).await, events);
    for scope in [scope, other_scope] {
        let (first, events) = fresh_session(&scope, environment);
        let begun = link_session(store, &scope, &first, None, &events, &link(&first)).await;
        assert_eq!(begun.expect("link"), Ok(Written::Done), "no attempt was counted");
    }
}

/// An id exists once, across organizations. The insert of an existing session or key writes nothing.
pub async fn existing_id_is_not_inserted_again(
    store: &(impl SessionStore + ApiKeyStore + EventLog + IdempotencyStore),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let now = environment.now();
    let (session, events) = fresh_session(&scope, environment);
    assert_inserted(insert_session(store, &scope, &session, &events, None).await);
    let key = key(&scope, environment);
    assert_inserted(insert_key(store, &scope, &key, &[], None).await);
    for again in [&scope, &other_scope] {
        let (twin, twin_events) = fresh_session(again, environment);
        let twin = Session { id: session.id.clone(), ..twin };
        let of_twin = |event: &Event| Event { session: Some(twin.id.clone()), ..event.clone() };
        let twin_events: Vec<_> = twin_events.iter().map(of_twin).collect();
        let twin_key = ApiKey { id: key.id.clone(), ..self::key(again, environment) };
        let record = record(fresh_key_hash(environment), b"twin", now.plus(HOUR));
        for record in [None, Some(&record)] {
            let written = insert_session(store, again, &twin, &twin_events, record).await;
            assert_eq!(written.expect("insert"), Ok(Written::Raced));
            let written = insert_key(store, again, &twin_key, &[], record).await;
            assert_eq!(written.expect("insert"), Ok(Written::Raced));
        }
        let stored = IdempotencyStore::find(store, again, &record.key_hash, now).await;
        assert_eq!(stored.expect("find"), None);
    }
    let found = SessionStore::find(store, &scope, &session.id).await.expect("find");
    assert_eq!(found, Some(session), "unchanged");
    assert_eq!(ApiKeyStore::find(store, &scope, &key.id).await.expect("find"), Some(key));
    assert_eq!(stored_events(store, &scope).await, events);
    assert_eq!(stored_events(store, &other_scope).await, []);
}

const HOUR: Duration = Duration::from_secs(3600);

/// Returns the scope of a caller of the same organization that is confined to one session.
fn confined(scope: &Scope, session: SessionId) -> Scope {
    let mut caller = Caller::operator(scope.organization().clone());
    caller.reach = Reach::Only([session].into());
    caller.may(Capability::Manage).expect("may manage")
}

/// Neither a cleanup nor an event may belong to another organization.
async fn reject_foreign_cleanup(
    store: &impl SessionStore,
    scope: &Scope,
    other_scope: &Scope,
    session: &Session,
    environment: &dyn Environment,
) {
    let cleanup = cleanup_of(session, scope, environment.now());
    let foreign_events = [foreign_event(other_scope, environment)];
    assert_rejected(
        &delete_session(store, scope, session.version, &cleanup, &foreign_events).await,
    );
    let mut foreign = cleanup;
    foreign.organization = other_scope.organization().clone();
    assert_rejected(&delete_session(store, scope, session.version, &foreign, &[]).await);
}

fn assert_rejected<T: std::fmt::Debug>(response: &PortResult<T>) {
    assert!(matches!(response, Err(PortError::Broken(_))), "{response:?}");
}

fn foreign_event(scope: &Scope, environment: &dyn Environment) -> Event {
    let payload = EventPayload::ApiKeyRevoked { key: KeyId::from_bits(environment.ulid()) };
    Event::of_organization(payload, scope.organization(), scope.actor(), environment)
}

fn key(scope: &Scope, environment: &dyn Environment) -> ApiKey {
    let id = KeyId::from_bits(environment.ulid());
    let mut digest = [7; 32];
    digest[..16].copy_from_slice(&id.bits().to_be_bytes());
    ApiKey {
        id,
        organization: scope.organization().clone(),
        name: "k".to_owned(),
        capabilities: Capabilities::of_role("member"),
        sessions: None,
        digest,
        created_by: scope.actor().clone(),
        created_at: environment.now(),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    }
}
