//! Kept answers go when their day is over, and not before.

use std::time::Duration;

use domain::{
    Capability, IdempotencyKeyHash, IdempotencyRecord,
    ports::{Environment, IdempotencyStore, Written},
    testing::World,
};

use crate::stage::Stage;

#[tokio::test]
async fn receipts_go_when_they_have_expired() {
    let stage = Stage::new().await;
    let (memory, scope) = (&stage.world.memory, World::acme().may(Capability::Manage).unwrap());
    let now = stage.world.environment.now();
    for n in 0..1_100_u128 {
        let mut key_hash = [0; 32];
        key_hash[..16].copy_from_slice(&n.to_be_bytes());
        let day = Duration::from_secs(if n < 1_099 { 60 } else { 600 });
        let expires_at = now.plus(day);
        let receipt = IdempotencyRecord {
            key_hash: IdempotencyKeyHash(key_hash),
            request: [0; 32],
            response: Vec::new(),
            expires_at,
        };
        assert_eq!(memory.record(&scope, &receipt, now).await.unwrap(), Written::Done);
    }
    stage.worker.round().await.unwrap();
    assert_eq!(memory.idempotency_records().len(), 1_100);
    stage.world.environment.advance(Duration::from_secs(61));
    stage.worker.round().await.unwrap();
    assert_eq!(memory.idempotency_records().len(), 1);
    stage.world.environment.advance(Duration::from_secs(600));
    stage.worker.round().await.unwrap();
    assert!(memory.idempotency_records().is_empty());
}
