//! Suites of [`ApiKeyStore`], [`KeyDirectory`] and [`EventLog`].

use std::time::Duration;

use crate::{
    access::Scope,
    api_key::model::ApiKey,
    caller::{Caller, Capability, Reach},
    event::{
        Event,
        payload::{EventName, EventPayload},
    },
    id::{KeyId, SessionId},
    ports::{
        authn::PresentedKey,
        environment::Environment,
        store::{
            events::{EventFilter, EventLog, EventPage},
            keys::{ApiKeyStore, KeyDirectory, KeyPage, KeyValidity},
            position::Position,
            sessions::SessionStore,
            written::Written,
        },
    },
    testing::{
        contract::fixtures::{assert_inserted, fresh_scope, fresh_session, stored_events},
        environment::TestEnvironment,
        writes::{insert_key, insert_session, revoke_key},
    },
    time::Timestamp,
};

/// A page that is larger than every list of the suite.
const ALL: KeyPage = KeyPage { after: None, limit: 200 };

/// A key round-trips in every field. Only its own organization sees, lists and revokes it.
pub async fn key_is_visible_to_its_organization_only(
    store: &(impl ApiKeyStore + KeyDirectory + EventLog),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let (plain, full) = (key(&scope, environment, false), key(&scope, environment, true));
    let payload = created(&plain);
    let made = Event::of_organization(payload, scope.organization(), scope.actor(), environment);
    assert_inserted(insert_key(store, &scope, &plain, std::slice::from_ref(&made), None).await);
    assert_inserted(insert_key(store, &scope, &full, &[], None).await);
    assert_eq!(stored_events(store, &scope).await, [made]);
    let listed = store.list(&scope, &ALL).await.expect("list");
    assert_eq!(listed, [full.clone(), plain.clone()], "newest first");
    assert_eq!(store.list(&other_scope, &ALL).await.expect("list"), []);

    for key in [&plain, &full] {
        for (scope, found) in [(&scope, Some(key.clone())), (&other_scope, None)] {
            assert_eq!(ApiKeyStore::find(store, scope, &key.id).await.expect("find"), found);
        }
    }

    let now = environment.now();
    let foreign = revoke_key(store, &other_scope, &plain.id, now, &[]).await.expect("revoke");
    assert_eq!(foreign, Ok(Written::Raced));
    let done = revoke_key(store, &scope, &plain.id, now, &[]).await.expect("revoke");
    assert_eq!(done, Ok(Written::Done));
    let again = revoke_key(store, &scope, &plain.id, now, &[]).await.expect("revoke");
    assert_eq!(again, Ok(Written::Raced));
    assert_eq!(store.list(&scope, &ALL).await.expect("list"), std::slice::from_ref(&full));
    assert_eq!(ApiKeyStore::find(store, &scope, &plain.id).await.expect("find"), None);

    let later = now.plus(Duration::from_secs(7200));
    store.record_use(&full.id, later).await.expect("used");
    store.record_use(&full.id, now).await.expect("used");
    let used =
        ApiKeyStore::find(store, &scope, &full.id).await.expect("find").expect("the row exists");
    assert_eq!(used.last_used_at, Some(later), "the order never decreases");
}

/// A batch lookup returns the sessions within the scope only.
pub async fn batch_session_lookup_respects_scope(
    store: &(impl ApiKeyStore + SessionStore),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let mut ids = Vec::new();
    for owner in [&scope, &scope, &other_scope] {
        let (session, events) = fresh_session(owner, environment);
        assert_inserted(insert_session(store, owner, &session, &events, None).await);
        ids.push(session.id);
    }
    let named = ids.iter().cloned().chain([SessionId::from_bits(environment.ulid())]).collect();
    let within = async |scope: &Scope| store.sessions_within(scope, &named).await.expect("lookup");
    assert_eq!(within(&scope).await, [ids[0].clone(), ids[1].clone()].into());
    assert_eq!(within(&other_scope).await, [ids[2].clone()].into());
    assert_eq!(store.sessions_within(&scope, &[].into()).await.expect("lookup"), [].into());
    let mut confined = Caller::operator(scope.organization().clone());
    confined.reach = Reach::Only([ids[1].clone(), ids[2].clone()].into());
    let confined = confined.may(Capability::Manage).expect("may manage");
    assert_eq!(within(&confined).await, [ids[1].clone()].into());
}

/// The directory finds a key only by id and digest together, while the key is valid. A revoked key
/// is not found at any time.
pub async fn key_directory_finds_valid_keys_only(
    store: &(impl ApiKeyStore + KeyDirectory),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let (plain, full) = (key(&scope, environment, false), key(&scope, environment, true));
    for key in [&plain, &full] {
        assert_inserted(insert_key(store, &scope, key, &[], None).await);
    }
    let now = environment.now();
    let find = async |id: &KeyId, digest: [u8; 32], now: Timestamp| {
        let shown = PresentedKey { id: id.clone(), digest };
        KeyDirectory::find(store, &shown, now).await.expect("find")
    };
    assert_eq!(find(&plain.id, plain.digest, now).await.as_ref(), Some(&plain));
    assert_eq!(find(&full.id, full.digest, now).await.as_ref(), Some(&full));
    let mut wrong = plain.digest;
    wrong[31] ^= 1;
    let unknown = KeyId::from_bits(environment.ulid());
    for (id, digest) in [
        (&plain.id, wrong),
        (&plain.id, full.digest),
        (&unknown, plain.digest),
        (&unknown, [0; 32]),
    ] {
        assert_eq!(find(id, digest, now).await, None);
    }
    let expiry = full.expires_at.expect("it expires");
    let last = Timestamp::from_millis(expiry.millis() - 1);
    assert!(find(&full.id, full.digest, last).await.is_some());
    assert_eq!(find(&full.id, full.digest, expiry).await, None, "expired");
    let forever = Timestamp::from_millis(i64::MAX - 1);
    assert!(find(&plain.id, plain.digest, forever).await.is_some());

    let done = revoke_key(store, &scope, &plain.id, now, &[]).await.expect("revoke");
    assert_eq!(done, Ok(Written::Done));
    for at in [Timestamp::from_millis(0), now, forever] {
        assert_eq!(find(&plain.id, plain.digest, at).await, None, "revoked");
    }
}

/// A key is found by its id alone while it is valid: alone, and among other keys in one read.
pub async fn key_validity_needs_no_digest(
    store: &(impl ApiKeyStore + KeyValidity),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let mut keys = Vec::new();
    for (scope, expires) in [(&scope, false), (&scope, true), (&other_scope, false)] {
        let key = key(scope, environment, expires);
        assert_inserted(insert_key(store, scope, &key, &[], None).await);
        keys.push(key);
    }
    let now = environment.now();
    let expiry = keys[1].expires_at.expect("it expires");
    let unknown = KeyId::from_bits(environment.ulid());
    let named = keys.iter().map(|key| key.id.clone()).chain([unknown]).collect();
    let assert_valid = async |at, expected: &[&ApiKey]| {
        let valid = store.valid_keys(&named, at).await.expect("valid keys");
        assert_eq!(valid, expected.iter().map(|key| key.id.clone()).collect());
        for id in &named {
            let found = store.valid_key(id, at).await.expect("valid key");
            assert_eq!(found.as_ref(), expected.iter().find(|key| key.id == *id).copied());
        }
    };
    assert_valid(now, &[&keys[0], &keys[1], &keys[2]]).await;
    assert_valid(expiry, &[&keys[0], &keys[2]]).await;
    let done = revoke_key(store, &scope, &keys[0].id, now, &[]).await.expect("revoke");
    assert_eq!(done, Ok(Written::Done));
    assert_valid(now, &[&keys[1], &keys[2]]).await;
    assert_eq!(store.valid_keys(&[].into(), now).await.expect("valid keys"), [].into());
}

/// Pages of keys have no gap and no overlap, newest first, also with equal times and keys revoked
/// in between.
pub async fn key_pages_cover_every_key_once(store: &impl ApiKeyStore) {
    let environment = TestEnvironment::new();
    environment.advance(Duration::from_millis(std::process::id().into()));
    let scope = fresh_scope(&*environment);
    let mut all = Vec::new();
    for n in 0..17 {
        // Every third key has the same time as the one before.
        environment.advance(Duration::from_millis(u64::from(n % 3 != 0)));
        let key = key(&scope, &*environment, false);
        assert_inserted(insert_key(store, &scope, &key, &[], None).await);
        if n % 5 == 2 {
            let revoked = revoke_key(store, &scope, &key.id, environment.now(), &[]).await;
            assert_eq!(revoked.expect("revoke"), Ok(Written::Done));
        } else {
            all.insert(0, key);
        }
    }
    let (mut observed, mut after): (Vec<ApiKey>, _) = (Vec::new(), None);
    loop {
        let page = store.list(&scope, &KeyPage { after, limit: 4 }).await.expect("list");
        assert!(page.len() <= 4);
        let Some(last) = page.last().cloned() else { break };
        // A position stays valid after its key is revoked.
        let revoked = revoke_key(store, &scope, &last.id, environment.now(), &[]).await;
        assert_eq!(revoked.expect("revoke"), Ok(Written::Done));
        after = Some(Position { created_at: last.created_at, id: last.id });
        observed.extend(page);
    }
    assert_eq!(observed, all);
}

/// Pages of the event log are newest first, filtered, within the scope only.
pub async fn event_pages_are_newest_first_and_in_scope(
    store: &(impl SessionStore + EventLog),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let (mut all, mut sessions) = (Vec::new(), Vec::new());
    for n in 0..6 {
        let (session, mut events) = fresh_session(&scope, environment);
        if n % 2 == 0 {
            let payload = created(&key(&scope, environment, false));
            let (organization, actor) = (scope.organization(), scope.actor());
            events.push(Event::of_organization(payload, organization, actor, environment));
        }
        assert_inserted(insert_session(store, &scope, &session, &events, None).await);
        all.extend(events);
        sessions.push(session.id);
    }
    all.reverse();
    let filters = [
        EventFilter::default(),
        EventFilter { session: Some(sessions[2].clone()), name: None },
        EventFilter { session: None, name: Some(EventName::ApiKeyCreated) },
        EventFilter { session: Some(sessions[2].clone()), name: Some(EventName::SessionCreated) },
        EventFilter { session: Some(sessions[2].clone()), name: Some(EventName::AuthPaired) },
        EventFilter { session: Some(SessionId::from_bits(environment.ulid())), name: None },
    ];
    for filter in filters {
        let expected: Vec<_> = all.iter().filter(|event| filter.matches(event)).cloned().collect();
        let mut observed: Vec<Event> = Vec::new();
        loop {
            let before = observed.last().map(|last| last.id.clone());
            let page = EventPage { filter: filter.clone(), before, limit: 2 };
            let shown = store.page(&scope, &page).await.expect("events");
            assert!(shown.len() <= 2);
            if shown.is_empty() {
                break;
            }
            observed.extend(shown);
        }
        assert_eq!(observed, expected, "{filter:?}");
        let page = EventPage { filter, before: None, limit: 10 };
        assert_eq!(store.page(&other_scope, &page).await.expect("events"), []);
    }
    let confined = {
        let mut caller = crate::caller::Caller::operator(scope.organization().clone());
        caller.reach = crate::caller::Reach::Only([sessions[1].clone()].into());
        caller.may(Capability::Manage).expect("may manage")
    };
    let page = EventPage { filter: EventFilter::default(), before: None, limit: 20 };
    let shown = store.page(&confined, &page).await.expect("events");
    let named: Vec<_> = shown.iter().filter_map(|event| event.session.as_ref()).collect();
    assert_eq!(named, [&sessions[1]], "events within reach, and events without a session");
}

pub(super) fn created(key: &ApiKey) -> EventPayload {
    EventPayload::ApiKeyCreated { key: key.id.clone(), key_name: key.name.clone() }
}

pub(super) fn key(scope: &Scope, environment: &dyn Environment, full: bool) -> ApiKey {
    let now = environment.now();
    let later = full.then(|| now.plus(Duration::from_secs(3600)));
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(&environment.ulid().to_be_bytes());
    ApiKey {
        id: KeyId::from_bits(environment.ulid()),
        organization: scope.organization().clone(),
        name: "Käse".to_owned(),
        capabilities: [Capability::Read, Capability::Manage].into_iter().collect(),
        sessions: full.then(|| [SessionId::from_bits(1), SessionId::from_bits(2)].into()),
        digest,
        created_by: scope.actor().clone(),
        created_at: now,
        expires_at: later,
        last_used_at: later,
        revoked_at: None,
    }
}
