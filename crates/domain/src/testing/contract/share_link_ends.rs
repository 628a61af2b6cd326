//! Suite of the ends of share links: with their session, with a linked device, by their age, and at
//! their quota.

use std::time::Duration;

use crate::{
    access::Scope,
    event::Event,
    id::SessionId,
    ports::{
        environment::Environment,
        link_secrets::PresentedLink,
        store::{
            events::EventLog,
            sessions::SessionStore,
            share_links::{ShareLinkDirectory, ShareLinkStore},
            worker::{SystemWrite, WorkerStore},
            written::{Rejection, Written},
        },
    },
    resource_quota::{Resource, ResourceLimitReached},
    session::{change::Change, model::Session, pairing::Identity},
    share_link::{
        model::{ENDED_LINK_RETENTION, LinkOpening, LinkOutcome},
        pairing_end::commit_with_links,
        write::ShareLinkChange,
    },
    testing::{
        contract::{
            fixtures::{assert_inserted, fresh_scope, stored_events},
            share_links::{
                commit_of, fresh_digest, fresh_link, insert_link, links_of, stored_session,
            },
        },
        writes::{cleanup_of, delete_session},
    },
    time::Timestamp,
};

/// A delete of a session removes its links, and no link of another session.
pub async fn links_leave_with_their_session(
    store: &(impl ShareLinkStore + ShareLinkDirectory + SessionStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let session = stored_session(store, &scope, environment).await;
    let neighbour = stored_session(store, &scope, environment).await;
    let link = fresh_link(&scope, &session.id, environment);
    let other = fresh_link(&scope, &neighbour.id, environment);
    insert_link(store, &scope, &session.id, &link, environment).await;
    insert_link(store, &scope, &neighbour.id, &other, environment).await;
    let known = SessionStore::find(store, &scope, &session.id).await.expect("find");
    let known = known.expect("a session");
    let cleanup = cleanup_of(&known, &scope, environment.now());
    assert_inserted(delete_session(store, &scope, known.version, &cleanup, &[]).await);
    assert_eq!(links_of(store, &scope, &session.id).await, []);
    let presented = PresentedLink { id: link.id, digest: link.digest };
    let found = store.find_by_secret(&presented, None, environment.now()).await;
    assert_eq!(found.expect("find"), None);
    assert_eq!(links_of(store, &scope, &neighbour.id).await, [other]);
}

/// The write of a linked device ends the links of the session in the same commit.
pub async fn device_ends_the_links_of_its_session(
    store: &(impl ShareLinkStore + SessionStore + WorkerStore + EventLog),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let session = stored_session(store, &scope, environment).await;
    let unopened = fresh_link(&scope, &session.id, environment);
    let mut opened = fresh_link(&scope, &session.id, environment);
    let browser = fresh_digest(environment);
    opened.opening = Some(LinkOpening { at: environment.now(), browser });
    let mut stale = fresh_link(&scope, &session.id, environment);
    stale.expires_at = environment.now();
    for link in [&unopened, &opened, &stale] {
        insert_link(store, &scope, &session.id, link, environment).await;
    }
    let found = async || {
        let known = SessionStore::find(store, &scope, &session.id).await.expect("find");
        known.expect("a session")
    };
    let old = found().await;
    let mut unended = store.unended_links(&old).await.expect("links");
    unended.sort_by(|a, b| a.id.cmp(&b.id));
    let expected = [unopened.clone(), opened.clone(), stale.clone()];
    assert_eq!(unended, expected, "expired ones included");

    let paired = |session: Session| {
        let mut change = Change::of(session);
        change.session.observed.identity = Some(Identity {
            phone: "15551234567".to_owned(),
            jid: "15551234567:3@s.whatsapp.net".to_owned(),
            lid: None,
            device: 3,
            push_name: None,
        });
        change
    };
    let commit = commit_with_links(paired(old.clone()), unended.clone(), environment);
    assert!(matches!(commit.change, SystemWrite::Pair { .. }));
    let written = WorkerStore::commit(store, &commit).await.expect("a result");
    assert_eq!(written, Written::Done);
    let again = commit_with_links(paired(old), unended, environment);
    let again = WorkerStore::commit(store, &again).await.expect("a result");
    assert_eq!(again, Written::Raced, "the version is old");
    assert!(found().await.is_paired());
    let now = commit.events[0].at;
    let expected =
        [stale, opened.ended(LinkOutcome::Used, now), unopened.ended(LinkOutcome::Revoked, now)];
    assert_eq!(links_of(store, &scope, &session.id).await, expected);
    let events: Vec<Event> = stored_events(store, &scope).await;
    let mut told: Vec<_> = events.iter().map(|event| event.name().as_str()).collect();
    told.sort_unstable();
    let created = ["link.created"; 3];
    let expected = [&created[..], &["link.revoked", "link.used", "session.created"]].concat();
    assert_eq!(told, expected);
}

/// Links are removed after their retention, oldest first, within the limit.
pub async fn old_links_are_removed(
    store: &(impl ShareLinkStore + SessionStore + WorkerStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let session = stored_session(store, &scope, environment).await;
    let start = Timestamp::from_millis(1_000);
    let mut links = Vec::new();
    for n in 0..3 {
        let mut link = fresh_link(&scope, &session.id, environment);
        link.expires_at = start.plus(Duration::from_secs(n));
        insert_link(store, &scope, &session.id, &link, environment).await;
        links.insert(0, link);
    }
    let at = |second: u64| start.plus(ENDED_LINK_RETENTION).plus(Duration::from_secs(second));
    let sweep = async |before, limit| store.sweep_share_links(before, limit).await.expect("sweep");
    assert_eq!(sweep(at(0), 10).await, 0, "the moment itself is retained");
    assert_eq!(sweep(at(2), 1).await, 1);
    assert_eq!(links_of(store, &scope, &session.id).await, links[..2]);
    assert_eq!(sweep(at(2), 10).await, 1);
    assert_eq!(links_of(store, &scope, &session.id).await, links[..1]);
    assert_eq!(sweep(at(3), 10).await, 1);
    assert_eq!(links_of(store, &scope, &session.id).await, []);
}

/// Links fill the quota of their organization, and free it when they are removed.
pub async fn links_fill_their_quota(
    store: &(impl ShareLinkStore + SessionStore + EventLog),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let session = stored_session(store, &scope, environment).await;
    let insert = async |scope: &Scope, session: &SessionId| {
        let known = SessionStore::find(store, scope, session).await.expect("find");
        let link = fresh_link(scope, session, environment);
        let change = ShareLinkChange::Insert(link);
        let commit = commit_of(scope, &known.expect("a session"), change, environment);
        ShareLinkStore::commit(store, scope, &commit).await.expect("a result")
    };
    for _ in 0..2 {
        assert_eq!(insert(&scope, &session.id).await, Ok(Written::Done));
    }
    let events = stored_events(store, &scope).await;
    let full = ResourceLimitReached { resource: Resource::ShareLinks, limit: 2, used: 2 };
    assert_eq!(insert(&scope, &session.id).await, Err(Rejection::Full(full)));
    assert_eq!(stored_events(store, &scope).await, events, "nothing is written");
    let neighbour = stored_session(store, &other_scope, environment).await;
    assert_eq!(insert(&other_scope, &neighbour.id).await, Ok(Written::Done));

    let known = SessionStore::find(store, &scope, &session.id).await.expect("find");
    let known = known.expect("a session");
    let cleanup = cleanup_of(&known, &scope, environment.now());
    assert_inserted(delete_session(store, &scope, known.version, &cleanup, &[]).await);
    let next = stored_session(store, &scope, environment).await;
    assert_eq!(insert(&scope, &next.id).await, Ok(Written::Done), "the delete freed the quota");
}
