//! A notifier that counts notifications and never blocks a test.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    ports::notify::{Notification, Notifier, Subscription, Topic},
    session::version::Version,
    testing::environment::TestEnvironment,
};

/// Delay after which a change by another router is noticed.
const MAX_WAIT: Duration = Duration::from_millis(250);

/// What happens while a use case waits, for example a round of the reconciler.
#[async_trait]
pub trait TestPause: Send + Sync {
    /// Returns after `duration`, in the time of the test.
    async fn pause(&self, duration: Duration);
}

/// Advances the clock instead of waiting.
#[async_trait]
impl TestPause for TestEnvironment {
    async fn pause(&self, duration: Duration) {
        self.advance(duration);
    }
}

/// A notifier that counts notifications. Every wait is a pause of the test.
pub struct TestNotifier {
    pause: Arc<dyn TestPause>,
    work: AtomicU64,
}

impl TestNotifier {
    /// Creates a notifier with this pause.
    pub fn new(pause: Arc<dyn TestPause>) -> Arc<Self> {
        Arc::new(Self { pause, work: AtomicU64::new(0) })
    }

    /// Returns the number of notifications of the worker.
    pub fn work_notifications(&self) -> u64 {
        self.work.load(Ordering::SeqCst)
    }
}

impl Notifier for TestNotifier {
    fn notify(&self, notification: Notification<'_>) {
        if notification == Notification::WorkDue {
            self.work.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn subscribe(self: Arc<Self>, _: Topic<'_>) -> Box<dyn Subscription> {
        Box::new(TestSubscription(self.pause.clone()))
    }
}

struct TestSubscription(Arc<dyn TestPause>);

#[async_trait]
impl Subscription for TestSubscription {
    async fn wait(&mut self, _: Option<Version>, at_most: Duration) {
        self.0.pause(at_most.min(MAX_WAIT)).await;
    }
}
