//! Suite of [`ShareLinkStore`], [`ShareLinkDirectory`] and the ends of links by the worker.

use std::time::Duration;

use crate::{
    access::Scope,
    caller::{Caller, Capability, Reach},
    commit::Commit,
    event::payload::EventPayload,
    id::{LinkId, SessionId},
    ports::{
        environment::Environment,
        error::PortResult,
        link_secrets::PresentedLink,
        store::{
            events::EventLog,
            position::Position,
            sessions::SessionStore,
            share_links::{ShareLinkDirectory, ShareLinkPage, ShareLinkStore},
            written::{CommitOutcome, Written},
        },
    },
    session::{change::Change, model::Session, pairing::Phone},
    share_link::{
        method::LinkMethod,
        model::{ENDED_LINK_RETENTION, LinkOpening, LinkOutcome, ReturnTarget, ShareLink},
        owned_links::link_commit,
        write::{ShareLinkChange, ShareLinkWrite},
    },
    testing::{
        contract::fixtures::{assert_inserted, fresh_scope, fresh_session, stored_events},
        writes::insert_session,
    },
    time::Timestamp,
};

/// A page that is larger than every list of the suite.
const ALL: ShareLinkPage = ShareLinkPage { after: None, limit: 200 };

/// Returns 32 bytes that no other digest of the database has.
pub(super) fn fresh_digest(environment: &dyn Environment) -> [u8; 32] {
    let mut digest = [9; 32];
    digest[..16].copy_from_slice(&environment.ulid().to_be_bytes());
    digest
}

/// Returns a new link with a life of half an hour.
pub(super) fn fresh_link(
    scope: &Scope,
    session: &SessionId,
    environment: &dyn Environment,
) -> ShareLink {
    let now = environment.now();
    ShareLink {
        id: LinkId::from_bits(environment.ulid()),
        organization: scope.organization().clone(),
        session: session.clone(),
        digest: fresh_digest(environment),
        title: None,
        methods: LinkMethod::ALL.into(),
        phone: None,
        return_target: None,
        created_by: scope.actor().clone(),
        created_at: now,
        expires_at: now.plus(Duration::from_secs(1800)),
        opening: None,
        attempts: 0,
        end: None,
    }
}

/// Returns the link with a value in every field that can be absent.
fn filled(link: ShareLink) -> ShareLink {
    let (address, origin) =
        ("https://é.example/a?b=1#c".to_owned(), "https://é.example".to_owned());
    ShareLink {
        title: Some("Küche \"1\" 🍲".to_owned()),
        methods: [LinkMethod::Code].into(),
        phone: Phone::parse("15551234567"),
        return_target: Some(ReturnTarget { address, origin }),
        ..link
    }
}

/// Stores a new session, and returns the session.
pub(super) async fn stored_session(
    store: &impl SessionStore,
    scope: &Scope,
    environment: &dyn Environment,
) -> Session {
    let (session, events) = fresh_session(scope, environment);
    assert_inserted(insert_session(store, scope, &session, &events, None).await);
    store.find(scope, &session.id).await.expect("find").expect("the session is stored")
}

/// Commits a change of a link on the session as stored.
pub(super) async fn write_link(
    store: &(impl ShareLinkStore + SessionStore),
    scope: &Scope,
    session: &Session,
    link: ShareLinkChange,
    environment: &dyn Environment,
) -> PortResult<CommitOutcome> {
    ShareLinkStore::commit(store, scope, &commit_of(scope, session, link, environment)).await
}

pub(super) fn commit_of(
    scope: &Scope,
    session: &Session,
    link: ShareLinkChange,
    environment: &dyn Environment,
) -> Commit<ShareLinkWrite> {
    let mut change = Change::of(session.clone());
    if let ShareLinkChange::Insert(link) = &link {
        let (link, title, expires_at) = (link.id.clone(), link.title.clone(), link.expires_at);
        change.add_event(EventPayload::LinkCreated { link, title, expires_at });
    }
    link_commit(change, link, scope.actor(), environment)
}

/// Stores a link of a session, and returns the session after the write.
pub(super) async fn insert_link(
    store: &(impl ShareLinkStore + SessionStore),
    scope: &Scope,
    session: &SessionId,
    link: &ShareLink,
    environment: &dyn Environment,
) {
    let known = SessionStore::find(store, scope, session).await.expect("find").expect("a session");
    let change = ShareLinkChange::Insert(link.clone());
    assert_inserted(write_link(store, scope, &known, change, environment).await);
}

pub(super) async fn links_of(
    store: &impl ShareLinkStore,
    scope: &Scope,
    id: &SessionId,
) -> Vec<ShareLink> {
    store.list(scope, id, &ALL).await.expect("list")
}

/// A link round-trips in every field. Only the scope of its session sees, lists and counts the link.
pub async fn link_is_visible_within_scope_only(
    store: &(impl ShareLinkStore + SessionStore + EventLog),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let session = stored_session(store, &scope, environment).await;
    let neighbour = stored_session(store, &scope, environment).await;
    let plain = fresh_link(&scope, &session.id, environment);
    let full = filled(fresh_link(&scope, &session.id, environment));
    for link in [&plain, &full] {
        insert_link(store, &scope, &session.id, link, environment).await;
    }
    let events = stored_events(store, &scope).await;
    let created: Vec<_> = events.iter().filter(|e| e.name().as_str() == "link.created").collect();
    assert_eq!(created.len(), 2);
    assert!(created.iter().all(|event| event.session.as_ref() == Some(&session.id)));
    let numbers: Vec<_> = created.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, [2, 3], "the session numbers the events of its links");

    let confined = |to: &SessionId| {
        let mut caller = Caller::operator(scope.organization().clone());
        caller.reach = Reach::Only([to.clone()].into());
        caller.may(Capability::Manage).expect("may manage")
    };
    let now = environment.now();
    for seeing in [&scope, &confined(&session.id)] {
        assert_eq!(links_of(store, seeing, &session.id).await, [full.clone(), plain.clone()]);
        assert_eq!(store.live_count(seeing, &session.id, now).await.expect("count"), 2);
        let found = ShareLinkStore::find(store, seeing, &session.id, &full.id).await;
        assert_eq!(found.expect("find"), Some(full.clone()));
    }
    let of_neighbour = ShareLinkStore::find(store, &scope, &neighbour.id, &full.id).await;
    assert_eq!(of_neighbour.expect("find"), None, "a link belongs to one session");
    for blind in [&other_scope, &confined(&neighbour.id)] {
        assert_eq!(links_of(store, blind, &session.id).await, []);
        assert_eq!(store.live_count(blind, &session.id, now).await.expect("count"), 0);
        let found = ShareLinkStore::find(store, blind, &session.id, &full.id).await;
        assert_eq!(found.expect("find"), None);
        let known = SessionStore::find(store, &scope, &session.id).await.expect("find");
        let ended = full.clone().ended(LinkOutcome::Revoked, now);
        let mut commit = commit_of(
            blind,
            &known.expect("a session"),
            ShareLinkChange::Update(ended),
            environment,
        );
        commit.events.clear();
        let written = ShareLinkStore::commit(store, blind, &commit).await;
        assert_eq!(written.expect("a result"), Ok(Written::Raced));
    }
    assert_eq!(links_of(store, &scope, &session.id).await, [full, plain]);
}

/// A change of a link is written with its session's version or not at all, and an ended link never
/// changes.
pub async fn write_of_a_link_is_guarded_by_its_session(
    store: &(impl ShareLinkStore + SessionStore + EventLog),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let session = stored_session(store, &scope, environment).await;
    let link = fresh_link(&scope, &session.id, environment);
    let insert = ShareLinkChange::Insert(link.clone());
    let write = async |session: &Session, change: &ShareLinkChange| {
        let written = write_link(store, &scope, session, change.clone(), environment).await;
        written.expect("a result")
    };
    assert_eq!(write(&session, &insert).await, Ok(Written::Done));
    let events = stored_events(store, &scope).await;
    let later = ShareLinkChange::Insert(fresh_link(&scope, &session.id, environment));
    assert_eq!(write(&session, &later).await, Ok(Written::Raced), "the version is old");
    let known = async || {
        let found = SessionStore::find(store, &scope, &session.id).await.expect("find");
        found.expect("a session")
    };
    assert_eq!(write(&known().await, &insert).await, Ok(Written::Raced), "the id exists");
    assert_eq!(stored_events(store, &scope).await, events);

    let opening = LinkOpening { at: environment.now(), browser: fresh_digest(environment) };
    let opened = ShareLink { opening: Some(opening), attempts: 2, ..link.clone() };
    let update = ShareLinkChange::Update(opened.clone());
    assert_eq!(write(&session, &update).await, Ok(Written::Raced), "the version is old");
    assert_eq!(links_of(store, &scope, &session.id).await, std::slice::from_ref(&link));
    assert_eq!(write(&known().await, &update).await, Ok(Written::Done));
    assert_eq!(links_of(store, &scope, &session.id).await, std::slice::from_ref(&opened));
    let ended = opened.clone().ended(LinkOutcome::Failed, environment.now());
    let end = ShareLinkChange::Update(ended.clone());
    assert_eq!(write(&known().await, &end).await, Ok(Written::Done));
    let before = known().await;
    assert_eq!(write(&before, &update).await, Ok(Written::Raced), "the link has ended");
    assert_eq!(links_of(store, &scope, &session.id).await, [ended]);
    assert_eq!(known().await, before, "a lost race changes no session");
    assert_eq!(write(&before, &ShareLinkChange::Nothing).await, Ok(Written::Done));
}

/// A link is found by its secret and by the secret of its browser only while these count.
pub async fn link_is_found_by_its_secrets_while_they_count(
    store: &(impl ShareLinkStore + ShareLinkDirectory + SessionStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let session = stored_session(store, &scope, environment).await;
    let link = fresh_link(&scope, &session.id, environment);
    insert_link(store, &scope, &session.id, &link, environment).await;
    let (now, mine) = (environment.now(), fresh_digest(environment));
    let other = fresh_digest(environment);
    let by_secret = async |id: &LinkId, digest, browser: Option<&[u8; 32]>, at| {
        let presented = PresentedLink { id: id.clone(), digest };
        store.find_by_secret(&presented, browser, at).await.expect("find")
    };
    let by_browser =
        async |browser: &[u8; 32], at| store.find_by_browser(browser, at).await.expect("find");
    for browser in [None, Some(&mine)] {
        assert_eq!(by_secret(&link.id, link.digest, browser, now).await, Some(link.clone()));
    }
    let unknown = LinkId::from_bits(environment.ulid());
    assert_eq!(by_secret(&unknown, link.digest, None, now).await, None);
    assert_eq!(by_secret(&link.id, mine, None, now).await, None);
    assert_eq!(by_secret(&link.id, link.digest, None, link.expires_at).await, None, "expired");
    assert_eq!(by_browser(&mine, now).await, None);

    let replace = async |next: &ShareLink| {
        let known = SessionStore::find(store, &scope, &session.id).await.expect("find");
        let change = ShareLinkChange::Update(next.clone());
        assert_inserted(
            write_link(store, &scope, &known.expect("a session"), change, environment).await,
        );
    };
    let opening = Some(LinkOpening { at: now, browser: mine });
    let opened = ShareLink { opening, ..link.clone() };
    replace(&opened).await;
    assert_eq!(by_secret(&link.id, link.digest, Some(&mine), now).await, Some(opened.clone()));
    for browser in [None, Some(&other)] {
        assert_eq!(by_secret(&link.id, link.digest, browser, now).await, None, "another browser");
    }
    assert_eq!(by_browser(&mine, now).await, Some(opened.clone()));
    assert_eq!(by_browser(&other, now).await, None);
    assert_eq!(by_browser(&mine, link.expires_at).await, None, "expired");

    let used = opened.clone().ended(LinkOutcome::Used, now);
    replace(&used).await;
    assert_eq!(by_secret(&link.id, link.digest, Some(&mine), now).await, None, "used");
    let last = Timestamp::from_millis(now.plus(ENDED_LINK_RETENTION).millis() - 1);
    assert_eq!(by_browser(&mine, last).await, Some(used));
    assert_eq!(by_browser(&mine, now.plus(ENDED_LINK_RETENTION)).await, None);

    let revoked = fresh_link(&scope, &session.id, environment);
    insert_link(store, &scope, &session.id, &revoked, environment).await;
    let opening = Some(LinkOpening { at: now, browser: other });
    replace(&ShareLink { opening, ..revoked }.ended(LinkOutcome::Revoked, now)).await;
    assert_eq!(by_browser(&other, now).await, None, "revoked");
}

/// Pages of links have no gap and no overlap, newest first, also with equal times.
pub async fn link_pages_cover_every_link_once(
    store: &(impl ShareLinkStore + SessionStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let session = stored_session(store, &scope, environment).await;
    let created_at = environment.now();
    let mut all = Vec::new();
    for n in 0..7_u64 {
        let mut link = fresh_link(&scope, &session.id, environment);
        link.created_at = created_at.plus(Duration::from_millis(n / 3));
        insert_link(store, &scope, &session.id, &link, environment).await;
        all.insert(0, link);
    }
    let (mut observed, mut after) = (Vec::new(), None);
    loop {
        let page = ShareLinkPage { after, limit: 3 };
        let page = ShareLinkStore::list(store, &scope, &session.id, &page).await.expect("list");
        let Some(last) = page.last().cloned() else { break };
        after = Some(Position { created_at: last.created_at, id: last.id });
        observed.extend(page);
    }
    assert_eq!(observed, all);
}
