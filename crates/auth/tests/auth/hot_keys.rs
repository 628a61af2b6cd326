//! Keys in use: served without a look-up, and never from anything older than a second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use auth::{Chain, HotKeys, KeyForge};
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
    fn pass(&self, millis: i64) {
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

/// A directory that counts, and answers only when it may: with what it read before.
struct Slow {
    memory: Memory,
    began: AtomicUsize,
    may: Semaphore,
    dies: bool,
}

impl Slow {
    fn began(&self) -> usize {
        self.began.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl KeyDirectory for Slow {
    async fn find(&self, shown: &PresentedKey, now: Timestamp) -> PortResult<Option<ApiKey>> {
        let read = KeyDirectory::find(&self.memory, shown, now).await;
        self.began.fetch_add(1, Ordering::SeqCst);
        self.may.acquire().await.unwrap().forget();
        assert!(!self.dies, "as the test wants it");
        read
    }

    async fn record_use(&self, id: &KeyId, at: Timestamp) -> PortResult<()> {
        self.memory.record_use(id, at).await
    }
}

struct Stage {
    clock: Arc<Clock>,
    directory: Arc<Slow>,
    hot: Arc<HotKeys>,
    keys: ApiKeys,
}

/// As many answers as anybody wants.
const MANY: usize = 1 << 20;

impl Stage {
    fn with(may: usize, dies: bool) -> Self {
        let clock = Arc::new(Clock(AtomicI64::new(1_767_254_400_000)));
        let memory = Memory::new();
        let (began, may) = (AtomicUsize::new(0), Semaphore::new(may));
        let directory = Arc::new(Slow { memory: memory.clone(), began, may, dies });
        let hot = Arc::new(HotKeys::new(directory.clone(), clock.clone()));
        let store = Arc::new(memory);
        let keys = ApiKeys::new(store, hot.clone(), Arc::new(KeyForge::default()), clock.clone());
        Self { clock, directory, hot, keys }
    }

    fn new() -> Self {
        Self::with(MANY, false)
    }

    async fn generate(&self) -> (PresentedKey, String) {
        self.make_until(None).await
    }

    async fn make_until(&self, expires_at: Option<Timestamp>) -> (PresentedKey, String) {
        let spec = KeySpec {
            name: "hot".into(),
            capabilities: [Capability::Read].into_iter().collect(),
            expires_at,
            sessions: None,
        };
        let domain::NewApiKey { key, text } = self.keys.create(&acme(), spec).await.unwrap();
        (PresentedKey { id: key.id, digest: key.digest }, text)
    }

    async fn is_valid(&self, key: &PresentedKey) -> bool {
        self.hot.find(key, self.clock.now()).await.unwrap().is_some()
    }

    /// Asks beside the test.
    fn ask(&self, key: &PresentedKey) -> JoinHandle<PortResult<Option<ApiKey>>> {
        let (hot, key, now) = (self.hot.clone(), key.clone(), self.clock.now());
        tokio::spawn(async move { hot.find(&key, now).await })
    }

    /// Revoked by another router, which this one does not hear of.
    async fn revoke_elsewhere(&self, key: &PresentedKey) {
        let (store, generator) = (Arc::new(self.directory.memory.clone()), KeyForge::default());
        let elsewhere = ApiKeys::new(store.clone(), store, Arc::new(generator), self.clock.clone());
        elsewhere.revoke(&acme(), key.id.as_str()).await.unwrap();
    }

    async fn until_begun(&self, count: usize) {
        until("looked up", || async { self.directory.began() >= count }).await;
    }
}

fn acme() -> Caller {
    Caller::operator(OrganizationId::parse("acme").unwrap())
}

#[tokio::test]
async fn a_hot_key_costs_no_look_up() {
    let stage = Stage::new();
    let (key, _) = stage.generate().await;
    for _ in 0..1000 {
        assert!(stage.is_valid(&key).await);
    }
    stage.clock.pass(499);
    assert!(stage.is_valid(&key).await);
    assert_eq!(stage.directory.began(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_first_uses_are_one_look_up() {
    let stage = Arc::new(Stage::with(0, false));
    let (key, _) = stage.generate().await;
    let users = (0..1000).map(|_| {
        let (stage, key) = (stage.clone(), key.clone());
        tokio::spawn(async move { stage.is_valid(&key).await })
    });
    let users: Vec<_> = users.collect();
    stage.until_begun(1).await;
    // Whoever comes later finds the answer, or the look-up under way.
    stage.directory.may.add_permits(1);
    assert!(join_all(users).await.into_iter().all(|good| good.unwrap()));
    assert_eq!(stage.directory.began(), 1);
}

#[tokio::test]
async fn from_half_a_second_on_it_is_read_again_and_nobody_waits() {
    let stage = Stage::with(1, false);
    let (key, _) = stage.generate().await;
    assert!(stage.is_valid(&key).await);
    stage.clock.pass(500);
    // The second look-up does not answer yet, and is not begun twice.
    for _ in 0..100 {
        assert!(stage.is_valid(&key).await);
    }
    stage.until_begun(2).await;
    assert!(stage.is_valid(&key).await);
    assert_eq!(stage.directory.began(), 2);
    stage.directory.may.add_permits(1);
    // What the second says counts from its beginning, and lets in while a third has no answer.
    stage.clock.pass(500);
    let waiting = tokio::time::timeout(Duration::from_secs(20), stage.is_valid(&key));
    assert_eq!(waiting.await, Ok(true));
}

#[tokio::test]
async fn a_revocation_elsewhere_holds_within_a_second() {
    let stage = Stage::new();
    let (key, _) = stage.generate().await;
    assert!(stage.is_valid(&key).await);
    stage.revoke_elsewhere(&key).await;
    stage.clock.pass(999);
    assert!(stage.is_valid(&key).await, "known for less than a second");
    stage.clock.pass(1);
    assert!(!stage.is_valid(&key).await);
    // In use all the time, it is found out by being read again.
    let (key, _) = stage.generate().await;
    assert!(stage.is_valid(&key).await);
    stage.revoke_elsewhere(&key).await;
    stage.clock.pass(500);
    until("refused", || async { !stage.is_valid(&key).await }).await;
}

#[tokio::test]
async fn a_revocation_here_holds_at_once() {
    let stage = Stage::new();
    let (key, text) = stage.generate().await;
    let door = Chain::new(None, stage.hot.clone(), stage.clock.clone());
    let credential = Credential::ApiKey(text);
    assert!(door.authenticate(&credential).await.is_ok());
    stage.keys.revoke(&acme(), key.id.as_str()).await.unwrap();
    assert_eq!(
        denied(door.authenticate(&credential).await),
        "unknown, wrong, revoked or expired API key"
    );
}

#[tokio::test]
async fn what_was_read_before_a_revocation_is_not_remembered_after_it() {
    let stage = Stage::with(0, false);
    let (key, _) = stage.generate().await;
    let before = stage.ask(&key);
    stage.until_begun(1).await;
    stage.keys.revoke(&acme(), key.id.as_str()).await.unwrap();
    let after = stage.ask(&key);
    stage.until_begun(2).await;
    stage.directory.may.add_permits(MANY);
    assert!(before.await.unwrap().unwrap().is_some(), "it came before");
    assert_eq!(after.await.unwrap().unwrap(), None);
    assert!(!stage.is_valid(&key).await);
}

#[tokio::test]
async fn an_outage_lasts_no_key_longer_than_a_second() {
    let stage = Stage::new();
    let (key, text) = stage.generate().await;
    let door = Chain::new(None, stage.hot.clone(), stage.clock.clone());
    let credential = Credential::ApiKey(text);
    assert!(door.authenticate(&credential).await.is_ok());
    stage.directory.memory.set_down(true);
    for _ in 0..9 {
        stage.clock.pass(100);
        assert!(door.authenticate(&credential).await.is_ok());
    }
    // One attempt to read it again failed, and was not followed by one a request.
    stage.until_begun(2).await;
    for _ in 0..100 {
        assert!(stage.is_valid(&key).await);
        // Whatever was begun by that may run.
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.directory.began(), 2);
    for _ in 0..20 {
        stage.clock.pass(100);
        unavailable(door.authenticate(&credential).await);
    }
    stage.directory.memory.set_down(false);
    assert!(door.authenticate(&credential).await.is_ok());
}

#[tokio::test]
async fn only_good_keys_are_remembered() {
    let stage = Stage::new();
    let (revoked, _) = stage.generate().await;
    stage.revoke_elsewhere(&revoked).await;
    let unknown = PresentedKey { id: KeyId::from_bits(5), digest: [5; 32] };
    let soon = Timestamp::from_millis(stage.clock.now().millis() + 10);
    let (expired, _) = stage.make_until(Some(soon)).await;
    assert!(stage.is_valid(&expired).await);
    stage.clock.pass(10);
    for n in 1..=10 {
        for key in [&revoked, &unknown, &expired] {
            assert!(!stage.is_valid(key).await);
        }
        assert_eq!(stage.directory.began(), 1 + 3 * n);
    }
}

#[tokio::test]
async fn a_look_up_of_more_than_a_second_is_not_joined() {
    let stage = Stage::with(0, false);
    let (key, _) = stage.generate().await;
    let first = stage.ask(&key);
    stage.until_begun(1).await;
    stage.revoke_elsewhere(&key).await;
    stage.clock.pass(1000);
    let second = stage.ask(&key);
    stage.until_begun(2).await;
    stage.directory.may.add_permits(MANY);
    assert!(first.await.unwrap().unwrap().is_some());
    assert_eq!(second.await.unwrap().unwrap(), None);
    assert!(!stage.is_valid(&key).await, "what came late is not remembered");
}

#[tokio::test]
async fn a_moment_counts_from_the_beginning_of_its_look_up() {
    let stage = Stage::with(0, false);
    let (key, _) = stage.generate().await;
    let slow = stage.ask(&key);
    stage.until_begun(1).await;
    stage.revoke_elsewhere(&key).await;
    stage.clock.pass(600);
    stage.directory.may.add_permits(MANY);
    assert!(slow.await.unwrap().is_ok());
    stage.clock.pass(400);
    assert!(!stage.is_valid(&key).await);
}

#[tokio::test]
async fn a_clock_set_back_prolongs_nothing() {
    let stage = Stage::new();
    let (key, _) = stage.generate().await;
    assert!(stage.is_valid(&key).await);
    stage.revoke_elsewhere(&key).await;
    stage.clock.pass(-3_600_000);
    assert!(!stage.is_valid(&key).await);
}

#[tokio::test]
async fn a_look_up_that_dies_leaves_nobody_waiting() {
    let stage = Stage::with(MANY, true);
    let key = PresentedKey { id: KeyId::from_bits(7), digest: [7; 32] };
    for n in 1..=3 {
        let answer = stage.hot.find(&key, stage.clock.now()).await;
        assert!(matches!(answer, Err(PortError::Broken(_))), "{answer:?}");
        assert_eq!(stage.directory.began(), n);
    }
}

#[tokio::test]
async fn a_wrong_secret_for_a_hot_key_costs_a_look_up_and_disturbs_nothing() {
    let stage = Stage::new();
    let (key, _) = stage.generate().await;
    assert!(stage.is_valid(&key).await);
    let wrong = PresentedKey { digest: [9; 32], ..key.clone() };
    for n in 1..=10 {
        assert!(!stage.is_valid(&wrong).await);
        assert!(stage.is_valid(&key).await);
        assert_eq!(stage.directory.began(), 1 + n);
    }
}

#[tokio::test]
async fn a_wrong_secret_does_not_join_the_true_one_s_look_up() {
    let stage = Stage::with(0, false);
    let (key, _) = stage.generate().await;
    let right = stage.ask(&key);
    stage.until_begun(1).await;
    let wrong = stage.ask(&PresentedKey { digest: [9; 32], ..key.clone() });
    stage.until_begun(2).await;
    stage.directory.may.add_permits(MANY);
    assert!(right.await.unwrap().unwrap().is_some());
    assert_eq!(wrong.await.unwrap().unwrap(), None);
    assert!(stage.is_valid(&key).await);
    assert_eq!(stage.directory.began(), 2, "the true one is remembered");
}
