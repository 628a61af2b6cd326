//! Tests: watchers of organizations, and revocations of API keys.

use std::collections::HashMap;

use domain::{
    Actor, ApiKey, Capability, Event, EventName, EventPayload, KeyId, OrganizationId,
    ports::{Environment as _, Written},
    testing::{insert_key, revoke_key},
};
use tokio::time::timeout;

use crate::fixture::{INTERVAL, World, manager};

#[tokio::test(start_paused = true)]
async fn watcher_names_organizations_and_kinds_once() {
    let world = World::new();
    world.write("acme").await;
    let mut watcher = world.feed.watch_organizations();
    let first = watcher.next().await;
    assert!(first.any && first.organizations.is_empty(), "anything may be new at the start");
    // The tail begins at the newest event, which may be announced again.
    while timeout(INTERVAL * 2, watcher.next()).await.is_ok() {}
    world.write_many("acme", 3).await;
    world.write("zeta").await;
    let next = timeout(INTERVAL * 2, watcher.next()).await.expect("within two intervals");
    let kinds = [EventName::SessionCreated].into();
    let organization = |name| OrganizationId::parse(name).expect("a name");
    let expected: HashMap<_, std::collections::HashSet<_>> =
        [(organization("acme"), kinds), (organization("zeta"), [EventName::SessionCreated].into())]
            .into();
    assert_eq!((next.organizations, next.any), (expected, false));
    assert!(timeout(INTERVAL * 5, watcher.next()).await.is_err(), "told once");
}

#[tokio::test(start_paused = true)]
async fn revoked_key_is_announced_while_there_are_subscribers() {
    let world = World::new();
    let mut revocations = world.feed.revocations();
    let _reader = world.live_reader("zeta").await;
    tokio::time::sleep(INTERVAL).await;
    let id = KeyId::from_bits(7);
    let scope = manager("acme").may(Capability::Manage).expect("may manage");
    let now = world.environment.now();
    let key = ApiKey {
        id: id.clone(),
        organization: scope.organization().clone(),
        name: "key".to_owned(),
        capabilities: [Capability::Manage].into_iter().collect(),
        sessions: None,
        digest: [7; 32],
        created_by: Actor::Operator,
        created_at: now,
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    let store = &world.store.memory;
    let inserted = insert_key(store, &scope, &key, &[], None).await;
    assert_eq!(inserted.expect("the store answers"), Ok(Written::Done));
    let revoked = Event::of_organization(
        EventPayload::ApiKeyRevoked { key: id.clone() },
        scope.organization(),
        scope.actor(),
        &*world.environment,
    );
    let revoked = revoke_key(store, &scope, &id, now, &[revoked]).await;
    assert_eq!(revoked.expect("the store answers"), Ok(Written::Done));
    let announced = timeout(INTERVAL * 2, revocations.recv()).await.expect("within two intervals");
    assert_eq!(announced.expect("no lag"), id);
}
