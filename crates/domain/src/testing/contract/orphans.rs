//! Suite of [`OrphanStore`].

use std::time::Duration;

use crate::{
    gateway::node::HeldSession,
    id::{GatewayId, SessionId},
    orphan::model::Orphan,
    ports::{environment::Environment, store::nodes::OrphanStore},
};

/// An orphan is returned once, when a node holds it for the second time, and is listed until the
/// node releases it.
pub async fn orphan_is_returned_once_and_listed_while_held(
    store: &impl OrphanStore,
    environment: &dyn Environment,
) {
    let now = environment.now();
    let later = now.plus(Duration::from_secs(5));
    let name = |n: u8| {
        let text = format!("gw-{n}-{}", environment.ulid());
        GatewayId::parse(&text).expect("a valid gateway id")
    };
    let (ours, other) = (name(1), name(2));
    let mut sessions = [0; 2].map(|_| SessionId::from_bits(environment.ulid()));
    sessions.sort();
    let [one, two] = sessions;
    let held = |session: &SessionId, epoch| HeldSession { session: session.clone(), epoch };
    let both = [held(&one, 3), held(&two, 0)];
    let note = async |node: &GatewayId, held: &[HeldSession]| {
        store.note_orphans(node, held, later).await.expect("note")
    };
    let listed = async || {
        let mut all = store.orphans().await.expect("orphans");
        all.retain(|orphan| [&ours, &other].contains(&&orphan.gateway));
        all
    };
    assert!(
        store.note_orphans(&ours, &both, now).await.expect("note").is_empty(),
        "not returned at the first heartbeat"
    );
    assert!(note(&other, &both[..1]).await.is_empty(), "another node");
    assert!(listed().await.is_empty());

    assert_eq!(note(&ours, &both[..1]).await, std::slice::from_ref(&one));
    assert!(
        note(&ours, &both).await.is_empty(),
        "the first was returned before, the second is new"
    );
    let first = Orphan { session: one.clone(), gateway: ours.clone(), epoch: 3, since: now };
    assert_eq!(listed().await, std::slice::from_ref(&first));
    assert_eq!(note(&ours, &both).await, std::slice::from_ref(&two));
    let second = Orphan { session: two, epoch: 0, since: later, ..first.clone() };
    assert_eq!(listed().await, [first.clone(), second]);

    assert!(note(&ours, &both[..1]).await.is_empty());
    assert_eq!(listed().await, [first], "a released orphan is removed");
    assert!(note(&ours, &[]).await.is_empty());
    assert!(listed().await.is_empty());
    assert_eq!(note(&other, &both[..1]).await, [one], "other nodes do not matter");
}
