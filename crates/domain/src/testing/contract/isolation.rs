//! Suite of writes into another organization. An insert has no condition that a foreign row could
//! fail, so the values are checked.

use crate::{
    access::Scope,
    api_key::model::ApiKey,
    caller::Capabilities,
    event::{Event, EventName, NewEvent},
    id::KeyId,
    ports::{
        authn::PresentedKey,
        environment::Environment,
        error::{PortError, PortResult},
        store::{
            events::EventLog,
            keys::{ApiKeyStore, KeyDirectory, KeyPage},
            sessions::SessionStore,
        },
    },
    session::{model::Session, version::Version},
    testing::contract::fixtures::{assert_inserted, fresh_scope, fresh_session},
};

/// No method writes a row of another organization than the scope's. The other rows of the same
/// write are not written either.
pub async fn cross_organization_writes_are_rejected(
    store: &(impl SessionStore + ApiKeyStore + KeyDirectory + EventLog),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let (session, events) = fresh_session(&scope, environment);
    assert_inserted(SessionStore::insert(store, &scope, &session, &events, None).await);
    let key = key(&scope, environment);
    assert_inserted(ApiKeyStore::insert(store, &scope, &key, &[], None).await);
    let foreign_events = [foreign_event(&other_scope, environment)];

    let (foreign, theirs) = fresh_session(&other_scope, environment);
    assert_rejected(&SessionStore::insert(store, &scope, &foreign, &theirs, None).await);
    let (mine, _) = fresh_session(&scope, environment);
    assert_rejected(&SessionStore::insert(store, &scope, &mine, &foreign_events, None).await);
    let mut next = session.clone();
    next.version = Version(session.version.0 + 1);
    assert_rejected(
        &SessionStore::update(
            store,
            &scope,
            &next,
            session.expected_version(),
            &foreign_events,
            None,
        )
        .await,
    );
    reject_foreign_cleanup(store, &scope, &other_scope, &session, environment).await;

    let foreign = self::key(&other_scope, environment);
    assert_rejected(&ApiKeyStore::insert(store, &scope, &foreign, &[], None).await);
    assert_rejected(
        &ApiKeyStore::insert(store, &scope, &self::key(&scope, environment), &foreign_events, None)
            .await,
    );
    assert_rejected(
        &ApiKeyStore::revoke(store, &scope, &key.id, environment.now(), &foreign_events).await,
    );

    let found = SessionStore::find(store, &scope, &session.id).await.expect("find");
    assert_eq!(found, Some(session), "unchanged");
    let page = KeyPage { after: None, limit: 10 };
    assert_eq!(ApiKeyStore::list(store, &scope, &page).await.expect("list"), [key]);
    let shown = PresentedKey { id: foreign.id, digest: foreign.digest };
    let found = KeyDirectory::find(store, &shown, environment.now()).await.expect("find");
    assert_eq!(found, None);
    assert_eq!(store.after(&scope, None, 10).await.expect("events"), events);
    assert_eq!(store.after(&other_scope, None, 10).await.expect("events"), []);
}

/// Neither a cleanup nor an event may belong to another organization.
async fn reject_foreign_cleanup(
    store: &impl SessionStore,
    scope: &Scope,
    other_scope: &Scope,
    session: &Session,
    environment: &dyn Environment,
) {
    let (now, deadlines) = (environment.now(), crate::deadlines::Deadlines::default());
    let (_, cleanup) = session.clone().delete(scope.actor(), now, &deadlines);
    let foreign_events = [foreign_event(other_scope, environment)];
    assert_rejected(&store.delete(scope, session.version, &cleanup, &foreign_events).await);
    let mut foreign = cleanup;
    foreign.organization = other_scope.organization().clone();
    assert_rejected(&store.delete(scope, session.version, &foreign, &[]).await);
}

fn assert_rejected<T: std::fmt::Debug>(response: &PortResult<T>) {
    assert!(matches!(response, Err(PortError::Broken(_))), "{response:?}");
}

fn foreign_event(scope: &Scope, environment: &dyn Environment) -> Event {
    let event = NewEvent::new(EventName::ApiKeyCreated, []);
    event.of_organization(scope.organization(), scope.actor(), environment)
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
