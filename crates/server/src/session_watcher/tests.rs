//! Subscriptions are woken by changes on any router, and by no other event.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use domain::{Session, SettingsPatch, ports::PortResult, testing::World};

use super::*;

/// Longer than any test runs.
const FOREVER: Duration = Duration::from_secs(3600);
const TIMEOUT: Duration = Duration::from_secs(20);
/// Shorter than the poll interval.
const SOON: Duration = Duration::from_millis(50);

/// Returns a watcher over the store of `world`. Changes through `world` do not notify the watcher,
/// as changes by another router.
async fn fixture() -> (World, Session, Arc<SessionWatcher>) {
    let world = World::new().await;
    let session = world.acme_session().await;
    let watcher = SessionWatcher::new(Arc::new(world.memory.clone()));
    (world, session, Arc::new(watcher))
}

async fn rename(world: &World, session: &Session, label: &str) -> Session {
    let patch = SettingsPatch { label: Some(Some(label.to_owned())), ..SettingsPatch::default() };
    let id = session.id.as_str();
    world.sessions.update(&World::acme(), id, None, patch).await.expect("renamed")
}

async fn expect_wake(watch: &mut Box<dyn Subscription>, version: Version) {
    tokio::time::timeout(TIMEOUT, watch.wait(Some(version), FOREVER)).await.expect("not woken");
}

async fn expect_no_wake(watch: &mut Box<dyn Subscription>, version: Version, meanwhile: Duration) {
    let woken = tokio::time::timeout(meanwhile, watch.wait(Some(version), FOREVER)).await;
    assert!(woken.is_err(), "woken without a change");
}

#[tokio::test]
async fn all_subscriptions_of_a_session_are_woken_and_no_others() {
    let (world, session, watcher) = fixture().await;
    let other = world.acme_session().await;
    let mut another = watcher.clone().subscribe(&other.id);
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let mut watch = watcher.clone().subscribe(&session.id);
            tokio::spawn(async move { expect_wake(&mut watch, session.version).await })
        })
        .collect();
    tokio::task::yield_now().await;
    // The store does not change, so that no poll wakes the subscriptions.
    watcher.publish(&session.id, Some(Version(session.version.0 + 1)));
    for task in waiting {
        task.await.expect("woken");
    }
    expect_no_wake(&mut another, other.version, SOON).await;
}

#[tokio::test]
async fn change_before_the_wait_wakes_once() {
    let (_world, session, watcher) = fixture().await;
    let observed = session.version;
    let newer = Version(observed.0 + 1);
    let mut early = watcher.clone().subscribe(&session.id);
    watcher.publish(&session.id, Some(newer));
    let mut late = watcher.clone().subscribe(&session.id);
    for watch in [&mut early, &mut late] {
        expect_wake(watch, observed).await;
        expect_no_wake(watch, newer, SOON).await;
        // Even if the store still returns the old version.
        expect_no_wake(watch, observed, SOON).await;
    }
    // Notifications may arrive out of order. An older version wakes no subscription.
    watcher.publish(&session.id, Some(observed));
    expect_no_wake(&mut early, newer, SOON).await;
    watcher.publish(&session.id, Some(Version(newer.0 + 1)));
    expect_wake(&mut early, newer).await;
}

#[tokio::test]
async fn change_by_another_router_wakes() {
    let (world, session, watcher) = fixture().await;
    let mut watch = watcher.clone().subscribe(&session.id);
    expect_no_wake(&mut watch, session.version, POLL_INTERVAL * 3).await;
    let once = rename(&world, &session, "once").await;
    expect_wake(&mut watch, session.version).await;
    expect_no_wake(&mut watch, once.version, POLL_INTERVAL * 3).await;
    let twice = rename(&world, &session, "twice").await;
    expect_wake(&mut watch, once.version).await;
    world.sessions.delete(&World::acme(), session.id.as_str(), None).await.expect("deleted");
    expect_wake(&mut watch, twice.version).await;
}

#[tokio::test]
async fn store_failure_wakes_all_subscriptions() {
    let (world, session, watcher) = fixture().await;
    let mut watch = watcher.clone().subscribe(&session.id);
    world.memory.set_down(true);
    expect_wake(&mut watch, session.version).await;
    world.memory.set_down(false);
    // One more wake-up may be pending.
    watch.wait(Some(session.version), POLL_INTERVAL * 3).await;
    expect_no_wake(&mut watch, session.version, POLL_INTERVAL * 3).await;
}

#[tokio::test]
async fn wait_ends_after_its_time() {
    let (_world, session, watcher) = fixture().await;
    let mut watch = watcher.clone().subscribe(&session.id);
    tokio::time::timeout(TIMEOUT, watch.wait(Some(session.version), SOON)).await.expect("no end");
}

#[tokio::test]
async fn poll_task_ends_with_the_last_subscription_and_starts_again() {
    let (world, session, watcher) = fixture().await;
    for label in ["once", "twice"] {
        let [mut first, second] = [0; 2].map(|_| watcher.clone().subscribe(&session.id));
        drop(second);
        assert_eq!(watcher.lock().sessions.len(), 1, "one subscription is left");
        let before = rename(&world, &session, &format!("not yet {label}")).await;
        expect_wake(&mut first, session.version).await;
        rename(&world, &session, label).await;
        expect_wake(&mut first, before.version).await;
        drop(first);
        assert!(watcher.lock().sessions.is_empty());
        watcher.publish(&session.id, Some(before.version));
        assert!(watcher.lock().sessions.is_empty(), "a change without subscribers is not stored");
        let ended = async {
            while watcher.lock().poll_task.is_some() {
                tokio::time::sleep(SOON).await;
            }
        };
        tokio::time::timeout(TIMEOUT, ended).await.expect("the poll task did not end");
    }
}

/// A store whose sessions never change; counts polls.
#[derive(Default)]
struct UnchangedStore(AtomicUsize);

#[async_trait]
impl VersionLookup for UnchangedStore {
    async fn versions(&self, ids: &[SessionId]) -> PortResult<HashMap<SessionId, Version>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(ids.iter().map(|id| (id.clone(), Version(1))).collect())
    }
}

#[tokio::test]
async fn one_poll_serves_all_subscriptions() {
    let store = Arc::new(UnchangedStore::default());
    let watcher = Arc::new(SessionWatcher::new(store.clone()));
    let began = Instant::now();
    let waiting: Vec<_> = (0..500)
        .map(|waiter| {
            let mut watch = watcher.clone().subscribe(&SessionId::from_bits(waiter % 10));
            tokio::spawn(async move { watch.wait(Some(Version(1)), POLL_INTERVAL * 4).await })
        })
        .collect();
    for waited in waiting {
        waited.await.expect("waited");
    }
    let most = began.elapsed().div_duration_f64(POLL_INTERVAL).ceil();
    let polls = f64::from(u32::try_from(store.0.load(Ordering::SeqCst)).expect("few"));
    assert!((1.0..=most).contains(&polls), "{polls} polls in the time of {most}");
}
