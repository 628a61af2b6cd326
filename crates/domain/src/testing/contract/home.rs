//! The suite of writes that would reach into another organization: an insert has no condition that a
//! foreign row could fail to meet, so it is refused for what it says.

use super::{fresh_scope, fresh_session, inserted};
use crate::{
    ApiKey, Capabilities, Event, EventName, KeyId, News, Scope, Session, Version,
    ports::{
        ApiKeyStore, Environment, EventLog, KeyDirectory, KeyPage, PortError, PortResult,
        SessionStore, ShownKey,
    },
};

/// What belongs to another organization than the scope's is not written, by no method, whatever else is
/// right about it; nothing of the rest is written either.
pub async fn nothing_is_written_into_another_organization(
    store: &(impl SessionStore + ApiKeyStore + KeyDirectory + EventLog),
    environment: &dyn Environment,
) {
    let (scope, stranger) = (fresh_scope(environment), fresh_scope(environment));
    let (session, events) = fresh_session(&scope, environment);
    inserted(SessionStore::insert(store, &scope, &session, &events, None).await);
    let key = key(&scope, environment);
    inserted(ApiKeyStore::insert(store, &scope, &key, &[], None).await);
    let stray = [news(&stranger, environment)];

    let (foreign, theirs) = fresh_session(&stranger, environment);
    refused(&SessionStore::insert(store, &scope, &foreign, &theirs, None).await);
    let (mine, _) = fresh_session(&scope, environment);
    refused(&SessionStore::insert(store, &scope, &mine, &stray, None).await);
    let mut next = session.clone();
    next.version = Version(session.version.0 + 1);
    refused(&SessionStore::update(store, &scope, &next, session.guard(), &stray, None).await);
    retiring(store, &scope, &stranger, &session, environment).await;

    let foreign = self::key(&stranger, environment);
    refused(&ApiKeyStore::insert(store, &scope, &foreign, &[], None).await);
    refused(
        &ApiKeyStore::insert(store, &scope, &self::key(&scope, environment), &stray, None).await,
    );
    refused(&ApiKeyStore::revoke(store, &scope, &key.id, environment.now(), &stray).await);

    let found = SessionStore::find(store, &scope, &session.id).await.expect("find");
    assert_eq!(found, Some(session), "as it was");
    let page = KeyPage { after: None, limit: 10 };
    assert_eq!(ApiKeyStore::list(store, &scope, &page).await.expect("list"), [key]);
    let shown = ShownKey { id: foreign.id, digest: foreign.digest };
    let found = KeyDirectory::find(store, &shown, environment.now()).await.expect("find");
    assert_eq!(found, None);
    assert_eq!(store.after(&scope, None, 10).await.expect("events"), events);
    assert_eq!(store.after(&stranger, None, 10).await.expect("events"), []);
}

/// Neither a retirement nor an event may be another's.
async fn retiring(
    store: &impl SessionStore,
    scope: &Scope,
    stranger: &Scope,
    session: &Session,
    environment: &dyn Environment,
) {
    let (now, deadlines) = (environment.now(), crate::Deadlines::default());
    let (_, retirement) = session.clone().retire(scope.actor(), now, &deadlines);
    let stray = [news(stranger, environment)];
    refused(&store.retire(scope, session.version, &retirement, &stray).await);
    let mut foreign = retirement;
    foreign.organization = stranger.organization().clone();
    refused(&store.retire(scope, session.version, &foreign, &[]).await);
}

fn refused<T: std::fmt::Debug>(answer: &PortResult<T>) {
    assert!(matches!(answer, Err(PortError::Broken(_))), "{answer:?}");
}

fn news(scope: &Scope, environment: &dyn Environment) -> Event {
    let news = News::new(EventName::ApiKeyCreated, []);
    news.of_organization(scope.organization(), scope.actor(), environment)
}

fn key(scope: &Scope, environment: &dyn Environment) -> ApiKey {
    let id = KeyId::mint(environment.ulid());
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
