//! What is scarce is shared between organizations, and what waits for room costs nothing meanwhile.

use domain::{
    GatewayId, Settings, Status,
    ports::{Environment, NodeStore, WorkerStore},
    testing::World,
};

use crate::stage::Stage;

#[tokio::test]
async fn what_cannot_be_placed_waits_for_room_and_is_placed_by_turns() {
    let stage = Stage::new().await;
    let world = &stage.world;
    world.gateway.set_capacity(3);
    let id = GatewayId::parse("gw-test").unwrap();
    let mut node = NodeStore::find(&world.memory, &id).await.unwrap().unwrap();
    node.capacity = 3;
    world.memory.register(&node).await.unwrap();
    let mut greedy = Vec::new();
    for _ in 0..40 {
        greedy
            .push(world.sessions.create(&World::acme(), Settings::default(), true).await.unwrap());
        world.environment.advance(std::time::Duration::from_millis(1));
    }
    stage.settle().await;
    let placed = world.memory.assigned_sessions(&id).await.unwrap().len();
    assert_eq!(placed, 3, "as many as there is room for");

    let modest = world.sessions.create(&World::zeta(), Settings::default(), true).await.unwrap();
    stage.settle().await;
    // Nothing that waits is looked at again and again.
    assert_eq!(stage.worker.round().await.unwrap(), 0);
    let next = world.memory.next_due().await.unwrap();
    let soon = world.environment.now().plus(std::time::Duration::from_secs(10));
    assert!(next.is_none_or(|due| due > soon), "{next:?}");

    // Two places become free: one organization does not take both.
    for (held, _) in world.memory.assigned_sessions(&id).await.unwrap().into_iter().take(2) {
        world.sessions.delete(&World::acme(), held.session.as_str(), None).await.unwrap();
    }
    for _ in 0..3 {
        world.environment.advance(std::time::Duration::from_secs(1));
        stage.settle().await;
    }
    let zeta = World::zeta();
    let modest = world.sessions.view(&zeta, modest.id.as_str()).await.unwrap();
    assert_eq!(modest.observed.status, Status::ScanQrCode);
    assert_eq!(world.memory.assigned_sessions(&id).await.unwrap().len(), 3);
}
