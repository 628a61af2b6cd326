//! Router clocks with an offset, and a pause without end.

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
    ports::Environment,
    testing::{TestEnvironment, TestPause},
};

/// A router's clock: the true time plus an offset.
pub(crate) struct Clock {
    time: Arc<TestEnvironment>,
    offset_millis: AtomicI64,
}

impl Clock {
    pub(crate) fn new(time: Arc<TestEnvironment>) -> Arc<Self> {
        Arc::new(Self { time, offset_millis: AtomicI64::new(0) })
    }

    /// Adds milliseconds to the offset.
    pub(crate) fn jump(&self, millis: i64) {
        self.offset_millis.fetch_add(millis, SeqCst);
    }

    /// Sets the offset to zero.
    pub(crate) fn reset(&self) {
        self.offset_millis.store(0, SeqCst);
    }
}

impl Environment for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.now().millis() + self.offset_millis.load(SeqCst))
    }

    fn ulid(&self) -> u128 {
        self.time.ulid()
    }
}

/// A pause that never ends.
pub(crate) struct EndlessPause;

#[async_trait]
impl TestPause for EndlessPause {
    async fn pause(&self, _: Duration) {
        std::future::pending::<()>().await;
    }
}
