//! The suites of [`ApiKeyStore`], [`KeyDirectory`] and [`EventLog`].

use std::time::Duration;

use super::{assert_inserted, fresh_scope, fresh_session};
use crate::{
    ApiKey, Caller, Capability, EventName, KeyId, NewEvent, Reach, Scope, SessionId, Timestamp,
    ports::{
        ApiKeyStore, Environment, EventFilter, EventLog, EventPage, KeyDirectory, KeyPage,
        Position, PresentedKey, SessionStore, Written,
    },
    testing::TestEnvironment,
};

/// The first page, of as many as anybody has.
const ALL: KeyPage = KeyPage { after: None, limit: 200 };

/// A key round-trips whole, and is seen, listed and revoked by its own organization alone.
pub async fn key_is_visible_to_its_organization_only(
    store: &(impl ApiKeyStore + KeyDirectory + EventLog),
    environment: &dyn Environment,
) {
    let (scope, stranger) = (fresh_scope(environment), fresh_scope(environment));
    let (plain, full) = (key(&scope, environment, false), key(&scope, environment, true));
    let made = NewEvent::new(EventName::ApiKeyCreated, vec![("key", plain.id.as_str().into())]);
    let made = made.of_organization(scope.organization(), scope.actor(), environment);
    assert_inserted(store.insert(&scope, &plain, std::slice::from_ref(&made), None).await);
    assert_inserted(store.insert(&scope, &full, &[], None).await);
    assert_eq!(store.after(&scope, None, 10).await.expect("events"), [made]);
    let listed = store.list(&scope, &ALL).await.expect("list");
    assert_eq!(listed, [full.clone(), plain.clone()], "newest first");
    assert_eq!(store.list(&stranger, &ALL).await.expect("list"), []);

    for key in [&plain, &full] {
        for (scope, found) in [(&scope, Some(key.clone())), (&stranger, None)] {
            assert_eq!(ApiKeyStore::find(store, scope, &key.id).await.expect("find"), found);
        }
    }

    let now = environment.now();
    let foreign = store.revoke(&stranger, &plain.id, now, &[]).await.expect("revoke");
    assert_eq!(foreign, Written::Raced);
    let done = store.revoke(&scope, &plain.id, now, &[]).await.expect("revoke");
    assert_eq!(done, Written::Done);
    let again = store.revoke(&scope, &plain.id, now, &[]).await.expect("revoke");
    assert_eq!(again, Written::Raced);
    assert_eq!(store.list(&scope, &ALL).await.expect("list"), std::slice::from_ref(&full));
    assert_eq!(ApiKeyStore::find(store, &scope, &plain.id).await.expect("find"), None);

    let later = now.plus(Duration::from_secs(7200));
    store.record_use(&full.id, later).await.expect("used");
    store.record_use(&full.id, now).await.expect("used");
    let used = ApiKeyStore::find(store, &scope, &full.id).await.expect("find").expect("there");
    assert_eq!(used.last_used_at, Some(later), "never backwards");
}

/// Of several sessions those are found that are within the scope, and nothing is said of the others.
pub async fn batch_session_lookup_respects_scope(
    store: &(impl ApiKeyStore + SessionStore),
    environment: &dyn Environment,
) {
    let (scope, stranger) = (fresh_scope(environment), fresh_scope(environment));
    let mut ids = Vec::new();
    for owner in [&scope, &scope, &stranger] {
        let (session, events) = fresh_session(owner, environment);
        assert_inserted(SessionStore::insert(store, owner, &session, &events, None).await);
        ids.push(session.id);
    }
    let named = ids.iter().cloned().chain([SessionId::from_bits(environment.ulid())]).collect();
    let within = async |scope: &Scope| store.sessions_within(scope, &named).await.expect("found");
    assert_eq!(within(&scope).await, [ids[0].clone(), ids[1].clone()].into());
    assert_eq!(within(&stranger).await, [ids[2].clone()].into());
    assert_eq!(store.sessions_within(&scope, &[].into()).await.expect("found"), [].into());
    let mut confined = Caller::operator(scope.organization().clone());
    confined.reach = Reach::Only([ids[1].clone(), ids[2].clone()].into());
    let confined = confined.may(Capability::Manage).expect("may manage");
    assert_eq!(within(&confined).await, [ids[1].clone()].into());
}

/// The door finds a key by its name and digest together, while it is good, and at no other time and by
/// nothing else. That it was revoked counts whatever the time is.
pub async fn key_directory_finds_valid_keys_only(
    store: &(impl ApiKeyStore + KeyDirectory),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let (plain, full) = (key(&scope, environment, false), key(&scope, environment, true));
    for key in [&plain, &full] {
        assert_inserted(store.insert(&scope, key, &[], None).await);
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

    let done = store.revoke(&scope, &plain.id, now, &[]).await.expect("revoke");
    assert_eq!(done, Written::Done);
    for at in [Timestamp::from_millis(0), now, forever] {
        assert_eq!(find(&plain.id, plain.digest, at).await, None, "revoked");
    }
}

/// Pages of keys follow each other without a gap or an overlap, newest first, also among equal
/// moments and past keys that were revoked meanwhile.
pub async fn key_pages_cover_every_key_once(store: &impl ApiKeyStore) {
    let environment = TestEnvironment::new();
    environment.advance(Duration::from_millis(std::process::id().into()));
    let scope = fresh_scope(&*environment);
    let mut all = Vec::new();
    for n in 0..17 {
        // Every third shares its moment with the one before.
        environment.advance(Duration::from_millis(u64::from(n % 3 != 0)));
        let key = key(&scope, &*environment, false);
        assert_inserted(store.insert(&scope, &key, &[], None).await);
        if n % 5 == 2 {
            let revoked = store.revoke(&scope, &key.id, environment.now(), &[]).await;
            assert_eq!(revoked.expect("revoke"), Written::Done);
        } else {
            all.insert(0, key);
        }
    }
    let (mut observed, mut after): (Vec<ApiKey>, _) = (Vec::new(), None);
    loop {
        let page = store.list(&scope, &KeyPage { after, limit: 4 }).await.expect("list");
        assert!(page.len() <= 4);
        let Some(last) = page.last().cloned() else { break };
        // A place holds although what stood there is gone.
        let revoked = store.revoke(&scope, &last.id, environment.now(), &[]).await;
        assert_eq!(revoked.expect("revoke"), Written::Done);
        after = Some(Position { created_at: last.created_at, id: last.id });
        observed.extend(page);
    }
    assert_eq!(observed, all);
}

/// Events come oldest first, from after the one named, and never from outside the scope.
pub async fn events_are_read_in_order_and_in_scope(
    store: &(impl SessionStore + EventLog),
    environment: &dyn Environment,
) {
    let (scope, stranger) = (fresh_scope(environment), fresh_scope(environment));
    let mut all = Vec::new();
    for _ in 0..5 {
        let (session, events) = fresh_session(&scope, environment);
        assert_inserted(store.insert(&scope, &session, &events, None).await);
        all.extend(events);
    }
    assert_eq!(store.after(&scope, None, 10).await.expect("events"), all);
    let rest = store.after(&scope, Some(&all[1].id), 2).await.expect("events");
    assert_eq!(rest, all[2..4]);
    assert!(store.after(&scope, Some(&all[4].id), 2).await.expect("events").is_empty());
    assert!(store.after(&stranger, None, 10).await.expect("events").is_empty());
}

/// The log is shown newest first, page by page, narrowed, and never from outside the scope.
pub async fn event_pages_are_newest_first_and_in_scope(
    store: &(impl SessionStore + EventLog),
    environment: &dyn Environment,
) {
    let (scope, stranger) = (fresh_scope(environment), fresh_scope(environment));
    let (mut all, mut sessions) = (Vec::new(), Vec::new());
    for n in 0..6 {
        let (session, mut events) = fresh_session(&scope, environment);
        if n % 2 == 0 {
            let new_events = NewEvent::new(EventName::ApiKeyCreated, vec![("name", "k".into())]);
            events.push(new_events.of_organization(
                scope.organization(),
                scope.actor(),
                environment,
            ));
        }
        assert_inserted(store.insert(&scope, &session, &events, None).await);
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
        let mut observed: Vec<crate::Event> = Vec::new();
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
        assert_eq!(store.page(&stranger, &page).await.expect("events"), []);
    }
    let confined = {
        let mut caller = crate::Caller::operator(scope.organization().clone());
        caller.reach = crate::Reach::Only([sessions[1].clone()].into());
        caller.may(Capability::Manage).expect("may manage")
    };
    let page = EventPage { filter: EventFilter::default(), before: None, limit: 20 };
    let shown = store.page(&confined, &page).await.expect("events");
    let named: Vec<_> = shown.iter().filter_map(|event| event.session.as_ref()).collect();
    assert_eq!(named, [&sessions[1]], "of what is in reach, and of no session");
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
