//! Suite of [`BrowserSessionStore`].

use std::time::Duration;

use crate::{
    browser_session::{
        digest::BrowserSessionDigest,
        model::{BrowserSession, BrowserSessionHolder, LoginClaims},
    },
    caller::Capabilities,
    id::{KeyId, OrganizationId, UserId},
    ports::{
        environment::Environment,
        store::{
            browser_sessions::BrowserSessionStore,
            erasure::{ErasedRows, ErasureStore},
            worker::WorkerStore,
        },
    },
    testing::contract::fixtures::fresh_scope,
    time::Timestamp,
};

/// A time before the sessions of other suites.
const LONG_AGO: Timestamp = Timestamp::from_millis(1_000_000);

fn after(seconds: u64) -> Timestamp {
    LONG_AGO.plus(Duration::from_secs(seconds))
}

fn digest(environment: &dyn Environment) -> BrowserSessionDigest {
    let mut digest = [9; 32];
    digest[..16].copy_from_slice(&environment.ulid().to_be_bytes());
    BrowserSessionDigest(digest)
}

fn session(
    environment: &dyn Environment,
    holder: BrowserSessionHolder,
    organization: Option<&OrganizationId>,
) -> BrowserSession {
    BrowserSession {
        digest: digest(environment),
        holder,
        organization: organization.cloned(),
        created_at: after(1),
        last_used_at: after(2),
        ends_at: after(200),
        expires_at: after(100),
    }
}

fn key(environment: &dyn Environment) -> BrowserSessionHolder {
    BrowserSessionHolder::Key(KeyId::from_bits(environment.ulid()))
}

fn person(environment: &dyn Environment, organizations: &[OrganizationId]) -> BrowserSessionHolder {
    BrowserSessionHolder::Person(LoginClaims {
        user: UserId::parse(&format!("u-{}", environment.ulid())),
        organizations: organizations.to_vec(),
        capabilities: Capabilities::of_role("member"),
        platform_admin: true,
    })
}

/// A session round-trips in every field, and changes in the fields that its methods name. Only its
/// digest finds it, and only until it ends.
pub async fn browser_session_is_found_until_it_ends(
    store: &impl BrowserSessionStore,
    environment: &dyn Environment,
) {
    let organizations = [fresh_scope(environment), fresh_scope(environment)]
        .map(|scope| scope.organization().clone());
    let nameless = BrowserSessionHolder::Person(LoginClaims {
        user: None,
        organizations: Vec::new(),
        capabilities: Capabilities::default(),
        platform_admin: false,
    });
    let sessions = [
        session(environment, key(environment), Some(&organizations[0])),
        session(environment, person(environment, &organizations), None),
        session(environment, nameless, None),
    ];
    for session in &sessions {
        store.insert(session, 100).await.expect("insert");
    }
    for session in &sessions {
        for (at, found) in [(after(99), Some(session.clone())), (after(100), None)] {
            assert_eq!(store.find(session.digest, at).await.expect("find"), found, "{at:?}");
        }
    }
    assert_eq!(store.find(digest(environment), after(1)).await.expect("find"), None);

    let mut changed = sessions[1].clone();
    store.record_use(changed.digest, after(90), after(150)).await.expect("use");
    store.set_organization(changed.digest, &organizations[1]).await.expect("switch");
    changed.last_used_at = after(90);
    changed.expires_at = after(150);
    changed.organization = Some(organizations[1].clone());
    assert_eq!(store.find(changed.digest, after(149)).await.expect("find"), Some(changed.clone()));

    let digests = sessions.iter().map(|session| session.digest).collect();
    let all = store.organizations(&digests, after(50)).await.expect("read");
    let organization = |index: usize| all.get(&sessions[index].digest).cloned().flatten();
    assert_eq!(all.len(), 3);
    assert_eq!(organization(0).as_ref(), Some(&organizations[0]));
    assert_eq!(organization(1).as_ref(), Some(&organizations[1]));
    assert_eq!(organization(2), None);
    let left = store.organizations(&digests, after(120)).await.expect("read");
    assert_eq!(left.into_keys().collect::<Vec<_>>(), [changed.digest], "the others have ended");

    for _ in 0..2 {
        store.remove(changed.digest).await.expect("remove");
        assert_eq!(store.find(changed.digest, after(1)).await.expect("find"), None);
    }
    assert!(store.find(sessions[0].digest, after(1)).await.expect("find").is_some());
}

/// A holder has a bounded number of sessions, of which those used last stay.
pub async fn surplus_browser_sessions_are_removed(
    store: &impl BrowserSessionStore,
    environment: &dyn Environment,
) {
    let (holder, other) = (key(environment), key(environment));
    let untouched = session(environment, other, None);
    store.insert(&untouched, 1).await.expect("insert");
    let mut digests = Vec::new();
    for used in [5, 9, 7] {
        let mut session = session(environment, holder.clone(), None);
        session.last_used_at = after(used);
        store.insert(&session, 2).await.expect("insert");
        digests.push(session.digest);
    }
    let mut found = Vec::new();
    for digest in digests {
        found.push(store.find(digest, after(1)).await.expect("find").is_some());
    }
    assert_eq!(found, [false, true, true]);
    assert!(store.find(untouched.digest, after(1)).await.expect("find").is_some());
}

/// Ended sessions are removed, oldest first; the sessions of an organization are erased with it.
pub async fn ended_browser_sessions_are_removed(
    store: &(impl BrowserSessionStore + WorkerStore + ErasureStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let mut ended = session(environment, key(environment), Some(scope.organization()));
    ended.expires_at = after(40);
    let kept = session(environment, key(environment), Some(scope.organization()));
    let foreign = session(environment, key(environment), None);
    for session in [&ended, &kept, &foreign] {
        store.insert(session, 9).await.expect("insert");
    }
    while store.sweep_browser_sessions(after(50), 1).await.expect("sweep") > 0 {}
    let exists = async |session: &BrowserSession| {
        let found = BrowserSessionStore::find(store, session.digest, after(1)).await;
        found.expect("find").is_some()
    };
    assert!(!exists(&ended).await && exists(&kept).await && exists(&foreign).await);
    let erase = async || {
        let rows = ErasedRows::BrowserSessions;
        store.erase_rows(scope.organization(), rows, 10).await.expect("erase")
    };
    assert_eq!((erase().await, erase().await), (1, 0));
    assert!(!exists(&kept).await && exists(&foreign).await);
}
