//! Test doubles of the environment: a manual clock, counting ids, and notifiers that never block a
//! test.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    id::SessionId,
    ports::{
        change_notifier::{ChangeNotifier, Subscription},
        environment::{Environment, Notifier},
    },
    session::version::Version,
    time::Timestamp,
};

/// Delay after which a change by another router is noticed.
const MAX_WAIT: Duration = Duration::from_millis(250);

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

/// A notifier that counts notifications. A wait advances the clock instead of blocking.
#[derive(Debug)]
pub struct TestNotifier {
    environment: Arc<TestEnvironment>,
    notifications: AtomicU64,
}

impl TestNotifier {
    /// Creates a notifier with this clock.
    pub fn new(environment: Arc<TestEnvironment>) -> Arc<Self> {
        Arc::new(Self { environment, notifications: AtomicU64::new(0) })
    }

    /// Returns the number of notifications.
    pub fn notifications(&self) -> u64 {
        self.notifications.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Notifier for TestNotifier {
    fn notify(&self) {
        self.notifications.fetch_add(1, Ordering::SeqCst);
    }

    async fn wait(&self, at_most: Duration) {
        self.environment.advance(at_most);
    }
}

/// One notifier for all sessions: every change wakes every waiter, and no wait is longer than
/// `MAX_WAIT`.
impl<B: Notifier + 'static> ChangeNotifier for B {
    fn publish(&self, _: &SessionId, _: Option<Version>) {
        self.notify();
    }

    fn subscribe(self: Arc<Self>, _: &SessionId) -> Box<dyn Subscription> {
        Box::new(SubscriptionOnNotify(self))
    }
}

struct SubscriptionOnNotify<B>(Arc<B>);

#[async_trait]
impl<B: Notifier> Subscription for SubscriptionOnNotify<B> {
    async fn changed_since(&mut self, _: Version, at_most: Duration) {
        self.0.wait(at_most.min(MAX_WAIT)).await;
    }
}
