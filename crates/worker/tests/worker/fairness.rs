//! Free capacity is shared between organizations, and waiting sessions cause no work.

use domain::{
    GatewayId, Settings, Status,
    ports::{Environment, NodeStore, WorkerStore},
    testing::World,
};

use crate::fixture::Fixture;

#[tokio::test]
async fn waiting_sessions_get_free_capacity_fairly_between_organizations() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    world.gateway.set_capacity(3);
    let id = GatewayId::parse("gw-test").unwrap();
    let mut node = NodeStore::find(&world.memory, &id).await.unwrap().unwrap();
    node.capacity = 3;
    world.memory.register(&node).await.unwrap();
    let mut greedy = Vec::new();
    for _ in 0..40 {
        greedy.push(
            world.sessions.create(&World::acme(), Settings::default(), true, None).await.unwrap(),
        );
        world.environment.advance(std::time::Duration::from_millis(1));
    }
    fixture.settle().await;
    let assigned_sessions = world.memory.assigned_sessions(&id).await.unwrap().len();
    assert_eq!(assigned_sessions, 3, "as many sessions as the node has capacity for");

    let modest =
        world.sessions.create(&World::zeta(), Settings::default(), true, None).await.unwrap();
    fixture.settle().await;
    // Waiting sessions do not become due before capacity is free.
    assert_eq!(fixture.worker.round().await.unwrap(), 0);
    let next = world.memory.next_due().await.unwrap();
    let soon = world.environment.now().plus(std::time::Duration::from_secs(10));
    assert!(next.is_none_or(|due| due > soon), "{next:?}");

    // Capacity for two sessions becomes free; one organization does not take both.
    for (held, _) in world.memory.assigned_sessions(&id).await.unwrap().into_iter().take(2) {
        world.sessions.delete(&World::acme(), held.session.as_str(), None).await.unwrap();
    }
    for _ in 0..3 {
        world.environment.advance(std::time::Duration::from_secs(1));
        fixture.settle().await;
    }
    let zeta = World::zeta();
    let modest = world.sessions.view(&zeta, modest.id.as_str()).await.unwrap();
    assert_eq!(modest.observed.status, Status::ScanQrCode);
    assert_eq!(world.memory.assigned_sessions(&id).await.unwrap().len(), 3);
}
