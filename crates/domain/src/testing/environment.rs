//! A manual clock, and ids that count up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{ports::environment::Environment, time::Timestamp};

/// A clock that tests advance, and ids that count up.
#[derive(Debug)]
pub struct TestEnvironment {
    millis: AtomicI64,
    names: AtomicU64,
}

impl TestEnvironment {
    /// Creates a clock at 2026-01-01 08:00 UTC.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { millis: AtomicI64::new(1_767_254_400_000), names: AtomicU64::new(1) })
    }

    /// Advances the clock.
    pub fn advance(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Environment for TestEnvironment {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }

    fn ulid(&self) -> u128 {
        let millis = u128::try_from(self.now().millis()).unwrap_or(0);
        millis << 80 | u128::from(self.names.fetch_add(1, Ordering::SeqCst))
    }
}
