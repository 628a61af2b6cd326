//! Clocks that are wrong, and bells that nobody hears.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    Timestamp,
    ports::{Environment, Notifier},
    testing::TestEnvironment,
};

/// A router's clock: ahead of the true time by what the test says, or behind.
pub(crate) struct Clock {
    time: Arc<TestEnvironment>,
    ahead: AtomicI64,
}

impl Clock {
    pub(crate) fn new(time: Arc<TestEnvironment>) -> Arc<Self> {
        Arc::new(Self { time, ahead: AtomicI64::new(0) })
    }

    /// It is set by so many milliseconds.
    pub(crate) fn jump(&self, millis: i64) {
        self.ahead.fetch_add(millis, SeqCst);
    }

    /// It is right again.
    pub(crate) fn mend(&self) {
        self.ahead.store(0, SeqCst);
    }
}

impl Environment for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.now().millis() + self.ahead.load(SeqCst))
    }

    fn ulid(&self) -> u128 {
        self.time.ulid()
    }
}

/// Whoever waits here waits until it is given up.
pub(crate) struct NoNotifier;

#[async_trait]
impl Notifier for NoNotifier {
    fn notify(&self) {}

    async fn wait(&self, _: Duration) {
        std::future::pending::<()>().await;
    }
}
