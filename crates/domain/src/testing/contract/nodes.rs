//! Suite of [`NodeStore`].

use std::time::Duration;

use crate::{
    gateway::node::Node,
    id::GatewayId,
    ports::{environment::Environment, store::nodes::NodeStore},
};

/// A node has the newest incarnation, increases its generation with each one, and is marked as lost
/// once.
pub async fn node_registers_renews_its_lease_and_is_lost(
    store: &impl NodeStore,
    environment: &dyn Environment,
) {
    let now = environment.now();
    let later = now.plus(Duration::from_secs(60));
    let id = GatewayId::parse(&format!("gw-{}", environment.ulid())).expect("a valid gateway id");
    assert_eq!(store.find(&id).await.expect("find"), None);
    let mut node = Node {
        id: id.clone(),
        address: "http://127.0.0.1:9".to_owned(),
        incarnation: "first".to_owned(),
        generation: 0,
        version: "berth-gateway 1".to_owned(),
        features: vec!["identity".to_owned(), "x".to_owned()],
        capacity: 7,
        held: 0,
        heartbeat_at: now,
        lost_at: None,
    };
    assert_eq!(store.register(&node).await.expect("register"), 1);
    assert_eq!(store.register(&node).await.expect("register"), 1, "the same incarnation again");
    node.generation = 1;
    assert_eq!(store.find(&id).await.expect("find").as_ref(), Some(&node));

    assert!(!store.heartbeat(&id, "another", 1, later).await.expect("heartbeat"));
    assert!(store.heartbeat(&id, "first", 3, later).await.expect("heartbeat"));
    assert!(
        store.heartbeat(&id, "first", 3, now).await.expect("heartbeat"),
        "a lease is not shortened"
    );
    let hello = Node { heartbeat_at: later.plus(Duration::from_secs(1)), ..node.clone() };
    assert_eq!(store.register(&hello).await.expect("register"), 1);
    assert!(
        store.heartbeat(&id, "first", 3, now).await.expect("heartbeat"),
        "a registration does not renew the lease"
    );
    (node.held, node.heartbeat_at) = (3, later);
    assert_eq!(store.find(&id).await.expect("find").as_ref(), Some(&node));
    assert!(store.list().await.expect("list").contains(&node));

    assert!(
        !store.mark_lost(&id, "first", later, later).await.expect("mark lost"),
        "the lease is newer"
    );
    let after = later.plus(Duration::from_secs(1));
    assert!(!store.mark_lost(&id, "another", after, after).await.expect("mark lost"));
    assert!(store.mark_lost(&id, "first", after, after).await.expect("mark lost"));
    assert!(!store.mark_lost(&id, "first", after, after).await.expect("mark lost"), "marked once");
    assert!(!store.heartbeat(&id, "first", 3, after).await.expect("heartbeat"), "the node is lost");
    node.lost_at = Some(after);
    assert_eq!(store.find(&id).await.expect("find").as_ref(), Some(&node));

    node.heartbeat_at = after;
    assert_eq!(
        store.register(&node).await.expect("register"),
        2,
        "the same incarnation after it was lost"
    );
    assert_eq!(store.register(&node).await.expect("register"), 2, "the same again");
    (node.incarnation, node.capacity) = ("second".to_owned(), 8);
    assert_eq!(store.register(&node).await.expect("register"), 3, "a new incarnation");
    (node.generation, node.lost_at) = (3, None);
    assert_eq!(store.find(&id).await.expect("find"), Some(node));
}
