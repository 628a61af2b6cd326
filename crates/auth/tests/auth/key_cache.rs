//! The key cache: keys in use cost no lookup, and no entry is served after one second.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use auth::{Chain, KeyCache, RandomKeyGenerator};
use domain::{
    ApiKey, ApiKeys, Caller, Capability, KeyId, KeySpec, OrganizationId, Timestamp,
    ports::{
        Authenticator, Credential, Environment, KeyDirectory, PortError, PortResult, PresentedKey,
    },
    testing::Memory,
};
use futures_util::future::join_all;
use tokio::{sync::Semaphore, task::JoinHandle};

use crate::world::{denied, unavailable, until};

/// A clock that can be set back.
struct Clock(AtomicI64);

impl Clock {
    fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Environment for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn ulid(&self) -> u128 {
        static NAMES: AtomicUsize = AtomicUsize::new(1);
        let millis = u128::try_from(self.now().millis()).unwrap();
        millis << 80 | NAMES.fetch_add(1, Ordering::SeqCst) as u128
    }
}

/// A directory that counts its lookups. A lookup reads the key first and then waits for a permit
/// before it returns, so the result may be outdated.
struct GatedDirectory {
    memory: Memory,
    lookups: AtomicUsize,
    permits: Semaphore,
    panics: bool,
}

impl GatedDirectory {
    fn lookups(&self) -> usize {
        self.lookups.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl KeyDirectory for GatedDirectory {
    async fn find(&self, shown: &PresentedKey, now: Timestamp) -> PortResult<Option<ApiKey>> {
        let read = KeyDirectory::find(&self.memory, shown, now).await;
        self.lookups.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        assert!(!self.panics, "the test asks for a panic");
        read
    }

    async fn record_use(&self, id: &KeyId, at: Timestamp) -> PortResult<()> {
        self.memory.record_use(id, at).await
    }
}

struct Fixture {
    clock: Arc<Clock>,
    directory: Arc<GatedDirectory>,
    cache: Arc<KeyCache>,
    keys: ApiKeys,
}

/// More permits than a test needs.
const UNLIMITED: usize = 1 << 20;

impl Fixture {
    fn with(permits: usize, panics: bool) -> Self {
        let clock = Arc::new(Clock(AtomicI64::new(1_767_254_400_000)));
        let memory = Memory::new();
        let (lookups, permits) = (AtomicUsize::new(0), Semaphore::new(permits));
        let directory =
            Arc::new(GatedDirectory { memory: memory.clone(), lookups, permits, panics });
        let cache = Arc::new(KeyCache::new(directory.clone(), clock.clone()));
        let store = Arc::new(memory);
        let keys = ApiKeys::new(
            store,
            cache.clone(),
            Arc::new(RandomKeyGenerator::default()),
            clock.clone(),
        );
        Self { clock, directory, cache, keys }
    }

    fn new() -> Self {
        Self::with(UNLIMITED, false)
    }

    async fn generate(&self) -> (PresentedKey, String) {
        self.generate_until(None).await
    }

    async fn generate_until(&self, expires_at: Option<Timestamp>) -> (PresentedKey, String) {
        let spec = KeySpec {
            name: "cached".into(),
            capabilities: [Capability::Read].into_iter().collect(),
            expires_at,
            sessions: None,
        };
        let domain::NewApiKey { key, text } = self.keys.create(&acme(), spec, None).await.unwrap();
        (PresentedKey { id: key.id, digest: key.digest }, text)
    }

    async fn is_found(&self, key: &PresentedKey) -> bool {
        self.cache.find(key, self.clock.now()).await.unwrap().is_some()
    }

    /// Starts a lookup through the cache in a task of its own.
    fn spawn_find(&self, key: &PresentedKey) -> JoinHandle<PortResult<Option<ApiKey>>> {
        let (cache, key, now) = (self.cache.clone(), key.clone(), self.clock.now());
        tokio::spawn(async move { cache.find(&key, now).await })
    }

    /// Revokes the key as another router does, without a notification to this cache.
    async fn revoke_elsewhere(&self, key: &PresentedKey) {
        let (store, generator) =
            (Arc::new(self.directory.memory.clone()), RandomKeyGenerator::default());
        let elsewhere = ApiKeys::new(store.clone(), store, Arc::new(generator), self.clock.clone());
        elsewhere.revoke(&acme(), key.id.as_str()).await.unwrap();
    }

    async fn wait_for_lookups(&self, count: usize) {
        until("lookups have started", || async { self.directory.lookups() >= count }).await;
    }
}

fn acme() -> Caller {
    Caller::operator(OrganizationId::parse("acme").unwrap())
}

#[tokio::test]
async fn cached_key_costs_no_lookup() {
    let fixture = Fixture::new();
    let (key, _) = fixture.generate().await;
    for _ in 0..1000 {
        assert!(fixture.is_found(&key).await);
    }
    fixture.clock.advance(499);
    assert!(fixture.is_found(&key).await);
    assert_eq!(fixture.directory.lookups(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_concurrent_first_uses_share_one_lookup() {
    let fixture = Arc::new(Fixture::with(0, false));
    let (key, _) = fixture.generate().await;
    let users = (0..1000).map(|_| {
        let (fixture, key) = (fixture.clone(), key.clone());
        tokio::spawn(async move { fixture.is_found(&key).await })
    });
    let users: Vec<_> = users.collect();
    fixture.wait_for_lookups(1).await;
    // Later uses find the entry or the in-flight lookup.
    fixture.directory.permits.add_permits(1);
    assert!(join_all(users).await.into_iter().all(|good| good.unwrap()));
    assert_eq!(fixture.directory.lookups(), 1);
}

#[tokio::test]
async fn revocation_on_another_router_holds_within_a_second() {
    let fixture = Fixture::new();
    let (key, _) = fixture.generate().await;
    assert!(fixture.is_found(&key).await);
    fixture.revoke_elsewhere(&key).await;
    fixture.clock.advance(999);
    assert!(fixture.is_found(&key).await, "the entry is younger than a second");
    fixture.clock.advance(1);
    assert!(!fixture.is_found(&key).await);
}

#[tokio::test]
async fn revocation_on_this_router_holds_at_once() {
    let fixture = Fixture::new();
    let (key, text) = fixture.generate().await;
    let chain = Chain::new(None, fixture.cache.clone(), fixture.clock.clone());
    let credential = Credential::ApiKey(text);
    assert!(chain.authenticate(&credential).await.is_ok());
    fixture.keys.revoke(&acme(), key.id.as_str()).await.unwrap();
    assert_eq!(
        denied(chain.authenticate(&credential).await),
        "unknown, wrong, revoked or expired API key"
    );
}

#[tokio::test]
async fn lookup_started_before_a_revocation_is_not_cached() {
    let fixture = Fixture::with(0, false);
    let (key, _) = fixture.generate().await;
    let before = fixture.spawn_find(&key);
    fixture.wait_for_lookups(1).await;
    fixture.keys.revoke(&acme(), key.id.as_str()).await.unwrap();
    let after = fixture.spawn_find(&key);
    fixture.wait_for_lookups(2).await;
    fixture.directory.permits.add_permits(UNLIMITED);
    assert!(before.await.unwrap().unwrap().is_some(), "the lookup started before the revocation");
    assert_eq!(after.await.unwrap().unwrap(), None);
    assert!(!fixture.is_found(&key).await);
}

#[tokio::test]
async fn outage_extends_no_key_by_more_than_a_second() {
    let fixture = Fixture::new();
    let (_, text) = fixture.generate().await;
    let chain = Chain::new(None, fixture.cache.clone(), fixture.clock.clone());
    let credential = Credential::ApiKey(text);
    assert!(chain.authenticate(&credential).await.is_ok());
    fixture.directory.memory.set_down(true);
    for _ in 0..9 {
        fixture.clock.advance(100);
        assert!(chain.authenticate(&credential).await.is_ok());
    }
    assert_eq!(fixture.directory.lookups(), 1);
    for _ in 0..20 {
        fixture.clock.advance(100);
        unavailable(chain.authenticate(&credential).await);
    }
    fixture.directory.memory.set_down(false);
    assert!(chain.authenticate(&credential).await.is_ok());
}

#[tokio::test]
async fn only_valid_keys_are_cached() {
    let fixture = Fixture::new();
    let (revoked, _) = fixture.generate().await;
    fixture.revoke_elsewhere(&revoked).await;
    let unknown = PresentedKey { id: KeyId::from_bits(5), digest: [5; 32] };
    let soon = Timestamp::from_millis(fixture.clock.now().millis() + 10);
    let (expired, _) = fixture.generate_until(Some(soon)).await;
    assert!(fixture.is_found(&expired).await);
    fixture.clock.advance(10);
    for n in 1..=10 {
        for key in [&revoked, &unknown, &expired] {
            assert!(!fixture.is_found(key).await);
        }
        assert_eq!(fixture.directory.lookups(), 1 + 3 * n);
    }
}

#[tokio::test]
async fn lookup_older_than_a_second_is_not_shared() {
    let fixture = Fixture::with(0, false);
    let (key, _) = fixture.generate().await;
    let first = fixture.spawn_find(&key);
    fixture.wait_for_lookups(1).await;
    fixture.revoke_elsewhere(&key).await;
    fixture.clock.advance(1000);
    let second = fixture.spawn_find(&key);
    fixture.wait_for_lookups(2).await;
    fixture.directory.permits.add_permits(UNLIMITED);
    assert!(first.await.unwrap().unwrap().is_some());
    assert_eq!(second.await.unwrap().unwrap(), None);
    assert!(!fixture.is_found(&key).await, "a late result is not cached");
}

#[tokio::test]
async fn age_counts_from_the_start_of_the_lookup() {
    let fixture = Fixture::with(0, false);
    let (key, _) = fixture.generate().await;
    let slow = fixture.spawn_find(&key);
    fixture.wait_for_lookups(1).await;
    fixture.revoke_elsewhere(&key).await;
    fixture.clock.advance(600);
    fixture.directory.permits.add_permits(UNLIMITED);
    assert!(slow.await.unwrap().is_ok());
    fixture.clock.advance(400);
    assert!(!fixture.is_found(&key).await);
}

#[tokio::test]
async fn clock_set_back_extends_no_entry() {
    let fixture = Fixture::new();
    let (key, _) = fixture.generate().await;
    assert!(fixture.is_found(&key).await);
    fixture.revoke_elsewhere(&key).await;
    fixture.clock.advance(-3_600_000);
    assert!(!fixture.is_found(&key).await);
}

#[tokio::test]
async fn panic_in_a_lookup_is_an_error_for_all_waiters() {
    let fixture = Fixture::with(UNLIMITED, true);
    let key = PresentedKey { id: KeyId::from_bits(7), digest: [7; 32] };
    for n in 1..=3 {
        let answer = fixture.cache.find(&key, fixture.clock.now()).await;
        assert!(matches!(answer, Err(PortError::Broken(_))), "{answer:?}");
        assert_eq!(fixture.directory.lookups(), n);
    }
}

#[tokio::test]
async fn wrong_secret_for_a_cached_key_costs_a_lookup_and_keeps_the_entry() {
    let fixture = Fixture::new();
    let (key, _) = fixture.generate().await;
    assert!(fixture.is_found(&key).await);
    let wrong = PresentedKey { digest: [9; 32], ..key.clone() };
    for n in 1..=10 {
        assert!(!fixture.is_found(&wrong).await);
        assert!(fixture.is_found(&key).await);
        assert_eq!(fixture.directory.lookups(), 1 + n);
    }
}

#[tokio::test]
async fn wrong_secret_does_not_share_the_lookup_of_the_right_secret() {
    let fixture = Fixture::with(0, false);
    let (key, _) = fixture.generate().await;
    let right = fixture.spawn_find(&key);
    fixture.wait_for_lookups(1).await;
    let wrong = fixture.spawn_find(&PresentedKey { digest: [9; 32], ..key.clone() });
    fixture.wait_for_lookups(2).await;
    fixture.directory.permits.add_permits(UNLIMITED);
    assert!(right.await.unwrap().unwrap().is_some());
    assert_eq!(wrong.await.unwrap().unwrap(), None);
    assert!(fixture.is_found(&key).await);
    assert_eq!(fixture.directory.lookups(), 2, "the key with the right secret is cached");
}
