//! Those who wait are woken by what was written, wherever it was, and by nothing else.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use domain::{Session, SettingsPatch, ports::PortResult, testing::World};

use super::*;

/// Longer than any test lives: who waits this long heard nothing.
const FOREVER: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(20);
/// Less than it takes until the store is looked at.
const SOON: Duration = Duration::from_millis(50);

/// What goes through `world` is what another router does: nobody here is told.
async fn watched() -> (World, Session, Arc<SessionWatches>) {
    let world = World::new().await;
    let session = world.acme_session().await;
    let watches = SessionWatches::new(Arc::new(world.memory.clone()));
    (world, session, Arc::new(watches))
}

async fn rename(world: &World, session: &Session, label: &str) -> Session {
    let patch = SettingsPatch { label: Some(Some(label.to_owned())), ..SettingsPatch::default() };
    let id = session.id.as_str();
    world.sessions.update(&World::acme(), id, None, patch).await.expect("renamed")
}

async fn hears(watch: &mut Box<dyn Subscription>, version: Version) {
    tokio::time::timeout(PATIENCE, watch.changed_since(version, FOREVER))
        .await
        .expect("heard nothing");
}

async fn hears_nothing(watch: &mut Box<dyn Subscription>, version: Version, meanwhile: Duration) {
    let heard = tokio::time::timeout(meanwhile, watch.changed_since(version, FOREVER)).await;
    assert!(heard.is_err(), "woken for nothing");
}

#[tokio::test]
async fn all_who_wait_for_a_session_are_told_at_once_and_nobody_else() {
    let (world, session, watches) = watched().await;
    let other = world.acme_session().await;
    let mut another = watches.clone().subscribe(&other.id);
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let mut watch = watches.clone().subscribe(&session.id);
            tokio::spawn(async move { hears(&mut watch, session.version).await })
        })
        .collect();
    tokio::task::yield_now().await;
    // The store stays as it is, so that no look at it wakes them.
    watches.publish(&session.id, Some(Version(session.version.0 + 1)));
    for told in waiting {
        told.await.expect("told");
    }
    hears_nothing(&mut another, other.version, SOON).await;
}

#[tokio::test]
async fn what_was_told_before_the_wait_is_not_missed_and_wakes_once() {
    let (_world, session, watches) = watched().await;
    let observed = session.version;
    let newer = Version(observed.0 + 1);
    let mut early = watches.clone().subscribe(&session.id);
    watches.publish(&session.id, Some(newer));
    let mut late = watches.clone().subscribe(&session.id);
    for watch in [&mut early, &mut late] {
        hears(watch, observed).await;
        hears_nothing(watch, newer, SOON).await;
        // Not even when the store shows it the old version still.
        hears_nothing(watch, observed, SOON).await;
    }
    // Told in another order than written: nobody goes back.
    watches.publish(&session.id, Some(observed));
    hears_nothing(&mut early, newer, SOON).await;
    watches.publish(&session.id, Some(Version(newer.0 + 1)));
    hears(&mut early, newer).await;
}

#[tokio::test]
async fn what_another_router_does_is_noticed() {
    let (world, session, watches) = watched().await;
    let mut watch = watches.clone().subscribe(&session.id);
    hears_nothing(&mut watch, session.version, LOOK_AGAIN * 3).await;
    let once = rename(&world, &session, "once").await;
    hears(&mut watch, session.version).await;
    hears_nothing(&mut watch, once.version, LOOK_AGAIN * 3).await;
    let twice = rename(&world, &session, "twice").await;
    hears(&mut watch, once.version).await;
    world.sessions.delete(&World::acme(), session.id.as_str(), None).await.expect("deleted");
    hears(&mut watch, twice.version).await;
}

#[tokio::test]
async fn a_store_that_cannot_be_seen_has_all_look_for_themselves() {
    let (world, session, watches) = watched().await;
    let mut watch = watches.clone().subscribe(&session.id);
    world.memory.set_down(true);
    hears(&mut watch, session.version).await;
    world.memory.set_down(false);
    // One more may be on its way.
    watch.changed_since(session.version, LOOK_AGAIN * 3).await;
    hears_nothing(&mut watch, session.version, LOOK_AGAIN * 3).await;
}

#[tokio::test]
async fn a_wait_ends_by_itself() {
    let (_world, session, watches) = watched().await;
    let mut watch = watches.clone().subscribe(&session.id);
    tokio::time::timeout(PATIENCE, watch.changed_since(session.version, SOON))
        .await
        .expect("no end");
}

#[tokio::test]
async fn nothing_is_left_when_nobody_waits_and_the_next_is_looked_out_for() {
    let (world, session, watches) = watched().await;
    for label in ["once", "twice"] {
        let [mut first, second] = [0; 2].map(|_| watches.clone().subscribe(&session.id));
        drop(second);
        assert_eq!(watches.held().sessions.len(), 1, "one still waits");
        let before = rename(&world, &session, &format!("not yet {label}")).await;
        hears(&mut first, session.version).await;
        rename(&world, &session, label).await;
        hears(&mut first, before.version).await;
        drop(first);
        assert!(watches.held().sessions.is_empty());
        watches.publish(&session.id, Some(before.version));
        assert!(watches.held().sessions.is_empty(), "a change nobody waits for leaves nothing");
        let over = async {
            while watches.held().lookout.is_some() {
                tokio::time::sleep(SOON).await;
            }
        };
        tokio::time::timeout(PATIENCE, over).await.expect("it looks out for nobody");
    }
}

/// Counts the looks at a store where nothing ever changes.
#[derive(Default)]
struct Still(AtomicUsize);

#[async_trait]
impl VersionLookup for Still {
    async fn versions(&self, ids: &[SessionId]) -> PortResult<HashMap<SessionId, Version>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(ids.iter().map(|id| (id.clone(), Version(1))).collect())
    }
}

#[tokio::test]
async fn one_look_is_for_all_who_wait() {
    let store = Arc::new(Still::default());
    let watches = Arc::new(SessionWatches::new(store.clone()));
    let began = Instant::now();
    let waiting: Vec<_> = (0..500)
        .map(|waiter| {
            let mut watch = watches.clone().subscribe(&SessionId::from_bits(waiter % 10));
            tokio::spawn(async move { watch.changed_since(Version(1), LOOK_AGAIN * 4).await })
        })
        .collect();
    for waited in waiting {
        waited.await.expect("waited");
    }
    let most = began.elapsed().div_duration_f64(LOOK_AGAIN).ceil();
    let looks = f64::from(u32::try_from(store.0.load(Ordering::SeqCst)).expect("few"));
    assert!((1.0..=most).contains(&looks), "{looks} looks in the time of {most}");
}
