//! The keys in use right now, so that not every request costs the database a look-up; and nothing is
//! trusted for longer than a second.
//!
//! What was read less than half a second ago is served. From then on it is served and read again in
//! the background, and after a second it is read anew before anybody gets in by it: a revocation
//! holds everywhere within that second, and an outage of the database lasts no key longer. A moment
//! counts from the beginning of its look-up, for what is read may be as old as that.
//!
//! Only keys that are good are remembered, and by all that is shown of them: a wrong secret is another
//! key than the true one. Wrong, revoked, expired and unknown ones cost a look-up each time, and so
//! cannot be told apart by how long that takes; nor does guessing fill the memory. A directory may know
//! without looking that nothing has changed since it said no.
//!
//! Decision: ADR 0010.

use std::{
    collections::HashMap,
    mem,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    ApiKey, KeyId, Timestamp,
    ports::{Environment, KeyDirectory, PortError, PortResult, PresentedKey},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::watch;

/// What is older is not believed.
const TRUSTED: Duration = Duration::from_millis(1000);
/// What is older is read again, while it is still served.
const FRESH: Duration = Duration::from_millis(500);
/// Keys per generation; those beyond are looked up each time.
const REMEMBERED: usize = 10_000;

/// A directory that remembers for a moment what another one said.
pub struct HotKeys {
    inner: Arc<Inner>,
}

struct Inner {
    directory: Arc<dyn KeyDirectory>,
    environment: Arc<dyn Environment>,
    shelf: Mutex<Shelf>,
}

/// A key as it is shown: its name, as bits, and the digest of its secret.
type Face = (u128, [u8; 32]);

/// What a look-up ended with, for everybody who waited for it.
type Answer = Result<Option<Arc<ApiKey>>, Arc<PortError>>;

/// Where an answer will be, once there is one.
type Landing = watch::Receiver<Option<Answer>>;

/// What is known of a key that is shown.
enum Known {
    Key(Arc<ApiKey>),
    Flying(Landing),
    /// Nothing, but this look-up will tell.
    Begun(Landing, BoxFuture<'static, ()>),
}

/// A look-up under way: one for all who ask for the same key meanwhile.
struct Flight {
    number: u64,
    since: Timestamp,
    landing: Landing,
}

/// A key as it was read.
struct Entry {
    key: Arc<ApiKey>,
    since: Timestamp,
    /// Reading it again failed: it is served as long as it may be, and no more asked for meanwhile.
    failed: bool,
}

/// Keys in two generations, so that nothing is ever searched for old ones.
#[derive(Default)]
struct Shelf {
    since: Timestamp,
    recent: HashMap<Face, Entry>,
    older: HashMap<Face, Entry>,
    flights: HashMap<Face, Flight>,
    flown: u64,
}

impl HotKeys {
    /// In front of this directory.
    pub fn new(directory: Arc<dyn KeyDirectory>, environment: Arc<dyn Environment>) -> Self {
        Self { inner: Arc::new(Inner { directory, environment, shelf: Mutex::default() }) }
    }
}

#[async_trait]
impl KeyDirectory for HotKeys {
    async fn find(&self, shown: &PresentedKey, now: Timestamp) -> PortResult<Option<ApiKey>> {
        let landing = match self.inner.look(shown, now) {
            Known::Key(key) => return Ok(Some((*key).clone())),
            Known::Flying(landing) => landing,
            Known::Begun(landing, mut flight) => {
                // Most are over at once, and need no task. If it dies, those who wait hear of it.
                let outcome = AssertUnwindSafe(&mut flight).catch_unwind().now_or_never();
                if outcome.is_none() {
                    tokio::spawn(flight);
                }
                landing
            }
        };
        match answer(landing).await {
            Some(Ok(key)) => Ok(key.map(|key| (*key).clone())),
            Some(Err(error)) => Err(told(&error)),
            None => Err(PortError::Broken("the look-up of an API key died".into())),
        }
    }

    fn invalidate(&self, id: &KeyId) {
        self.inner.shelf().forget(id.bits());
        self.inner.directory.invalidate(id);
    }

    async fn record_use(&self, id: &KeyId, at: Timestamp) -> PortResult<()> {
        self.inner.directory.record_use(id, at).await
    }
}

impl Inner {
    fn look(self: &Arc<Self>, shown: &PresentedKey, now: Timestamp) -> Known {
        let face = face(shown);
        let mut held = self.shelf();
        if let Some((key, fresh)) = held.known(&face, now) {
            if !fresh && held.under_way(&face, now).is_none() {
                // Nobody waits for it.
                let (_, flight) = self.fly(&mut held, shown, now);
                tokio::spawn(flight);
            }
            return Known::Key(key);
        }
        if let Some(landing) = held.under_way(&face, now) {
            return Known::Flying(landing);
        }
        let (landing, flight) = self.fly(&mut held, shown, now);
        Known::Begun(landing, flight)
    }

    /// Begins a look-up. It serves others than the one who began it, and must be seen to its end.
    fn fly(
        self: &Arc<Self>,
        held: &mut Shelf,
        shown: &PresentedKey,
        now: Timestamp,
    ) -> (Landing, BoxFuture<'static, ()>) {
        let (landed, landing) = watch::channel(None);
        let (face, shown) = (face(shown), shown.clone());
        let number = held.begin(face, now, landing.clone());
        let inner = Arc::clone(self);
        let flight = async move {
            let answer = inner.directory.find(&shown, now).await;
            let answer = answer.map(|key| key.map(Arc::new)).map_err(Arc::new);
            let now = inner.environment.now();
            inner.shelf().land(face, number, &answer, now);
            landed.send_replace(Some(answer));
        };
        (landing, flight.boxed())
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// The key, if what is known of it can be trusted now, and whether it need not be read again.
    fn known(&self, face: &Face, now: Timestamp) -> Option<(Arc<ApiKey>, bool)> {
        let entry = self.recent.get(face).or_else(|| self.older.get(face))?;
        let age = age(entry.since, now)?;
        let fresh = age < FRESH || entry.failed;
        // One that expired meanwhile is looked up like any that is not good.
        (age < TRUSTED && entry.key.is_valid(now)).then(|| (Arc::clone(&entry.key), fresh))
    }

    /// The look-up under way, unless it began too long ago to be trusted when it ends, or died.
    fn under_way(&self, face: &Face, now: Timestamp) -> Option<Landing> {
        let flight = self.flights.get(face)?;
        let young = age(flight.since, now)? < TRUSTED;
        (young && flight.landing.has_changed().is_ok()).then(|| flight.landing.clone())
    }

    fn begin(&mut self, face: Face, since: Timestamp, landing: Landing) -> u64 {
        self.flown += 1;
        self.flights.insert(face, Flight { number: self.flown, since, landing });
        self.flown
    }

    /// Takes in what a look-up said, unless it was overtaken, or the key forgotten meanwhile.
    fn land(&mut self, face: Face, number: u64, answer: &Answer, now: Timestamp) {
        let Some(flight) = self.flights.remove(&face) else { return };
        if flight.number != number {
            self.flights.insert(face, flight);
            return;
        }
        match answer {
            Ok(Some(key)) if key.is_valid(now) => self.put(face, key, flight.since, now),
            Ok(_) => {
                self.recent.remove(&face);
                self.older.remove(&face);
            }
            Err(_) => {
                for generation in [&mut self.recent, &mut self.older] {
                    if let Some(entry) = generation.get_mut(&face) {
                        entry.failed = true;
                    }
                }
            }
        }
    }

    fn put(&mut self, face: Face, key: &Arc<ApiKey>, since: Timestamp, now: Timestamp) {
        if age(self.since, now).is_none_or(|age| age >= TRUSTED) {
            self.since = now;
            self.older = mem::take(&mut self.recent);
        }
        self.older.remove(&face);
        if self.recent.len() < REMEMBERED || self.recent.contains_key(&face) {
            self.recent.insert(face, Entry { key: Arc::clone(key), since, failed: false });
        }
    }

    /// Whatever its secret is. Goes through all of them, for keys are revoked seldom.
    fn forget(&mut self, id: u128) {
        self.recent.retain(|(known, _), _| *known != id);
        self.older.retain(|(known, _), _| *known != id);
        self.flights.retain(|(known, _), _| *known != id);
    }
}

fn face(shown: &PresentedKey) -> Face {
    (shown.id.bits(), shown.digest)
}

/// How long ago it was; `None` when the clock was set back since, and nobody can say.
fn age(since: Timestamp, now: Timestamp) -> Option<Duration> {
    (since <= now).then(|| since.until(now))
}

/// `None` when the look-up died.
async fn answer(mut landing: Landing) -> Option<Answer> {
    let landed = landing.wait_for(Option::is_some).await.ok()?;
    landed.clone()
}

/// One failure, told to each who waited.
fn told(error: &Arc<PortError>) -> PortError {
    let source = Box::new(Arc::clone(error));
    match **error {
        PortError::Unavailable(_) => PortError::Unavailable(source),
        PortError::Broken(_) => PortError::Broken(source),
    }
}

#[cfg(test)]
mod tests {
    use domain::{Actor, Capabilities, OrganizationId};

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    fn key() -> Arc<ApiKey> {
        Arc::new(ApiKey {
            id: KeyId::from_bits(1),
            organization: OrganizationId::parse("acme").expect("a name"),
            name: String::new(),
            capabilities: Capabilities::default(),
            sessions: None,
            digest: [0; 32],
            created_by: Actor::Operator,
            created_at: at(0),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        })
    }

    fn named(id: u128) -> Face {
        (id, [0; 32])
    }

    #[test]
    fn memory_stays_bounded_under_many_keys() {
        let (mut shelf, key) = (Shelf::default(), key());
        for n in 0..REMEMBERED as u128 * 3 {
            shelf.put(named(n), &key, at(0), at(0));
        }
        assert_eq!((shelf.recent.len(), shelf.older.len()), (REMEMBERED, 0));
        for n in 0..REMEMBERED as u128 * 3 {
            shelf.put(named(n), &key, at(1000), at(1000));
        }
        assert_eq!(shelf.recent.len(), REMEMBERED);
        assert!(shelf.older.len() <= REMEMBERED);
        assert!(shelf.known(&named(0), at(1999)).is_some());
        assert!(shelf.known(&named(REMEMBERED as u128), at(1000)).is_none());
        assert!(shelf.known(&(0, [1; 32]), at(1000)).is_none(), "another secret");
        shelf.forget(0);
        assert!(shelf.known(&named(0), at(1000)).is_none());
    }

    #[test]
    fn nothing_is_trusted_for_a_second_nor_from_the_future() {
        let (mut shelf, key) = (Shelf::default(), key());
        shelf.put(named(1), &key, at(0), at(300));
        let fresh = |millis| shelf.known(&named(1), at(millis)).map(|(_, fresh)| fresh);
        assert_eq!(
            [0, 499, 500, 999].map(fresh),
            [Some(true), Some(true), Some(false), Some(false)]
        );
        assert_eq!([1000, 5000, -1].map(fresh), [None; 3]);
    }

    #[test]
    fn a_key_that_stays_in_use_outlives_its_generation() {
        let (mut shelf, key) = (Shelf::default(), key());
        for millis in (0..10_000).step_by(600) {
            shelf.put(named(1), &key, at(millis), at(millis));
            assert!(shelf.known(&named(1), at(millis + 599)).is_some(), "{millis}");
        }
    }
}
