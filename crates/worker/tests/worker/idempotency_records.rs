//! Idempotency records are removed after their expiry, not before.

use std::time::Duration;

use domain::{
    Capability, IdempotencyKeyHash, IdempotencyRecord,
    ports::{Environment, IdempotencyStore},
    testing::World,
};

use crate::fixture::Fixture;

#[tokio::test]
async fn records_are_removed_after_their_expiry() {
    let fixture = Fixture::new().await;
    let (memory, scope) = (&fixture.world.memory, World::acme().may(Capability::Manage).unwrap());
    let now = fixture.world.environment.now();
    for n in 0..1_100_u128 {
        let mut key_hash = [0; 32];
        key_hash[..16].copy_from_slice(&n.to_be_bytes());
        let lifetime = Duration::from_secs(if n < 1_099 { 60 } else { 600 });
        let expires_at = now.plus(lifetime);
        let record = IdempotencyRecord {
            key_hash: IdempotencyKeyHash(key_hash),
            request: [0; 32],
            response: Vec::new(),
            expires_at,
        };
        assert_eq!(memory.record(&scope, &record, now).await.unwrap(), Ok(()));
    }
    fixture.worker.round().await.unwrap();
    assert_eq!(memory.idempotency_records().len(), 1_100);
    fixture.world.environment.advance(Duration::from_secs(61));
    fixture.worker.round().await.unwrap();
    assert_eq!(memory.idempotency_records().len(), 1);
    fixture.world.environment.advance(Duration::from_secs(600));
    fixture.worker.round().await.unwrap();
    assert!(memory.idempotency_records().is_empty());
}
