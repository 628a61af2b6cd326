//! [`RouterNotifier`]: wakes the worker and the dispatcher of webhooks of this router, the requests
//! that wait for a session, and the event feed.
//!
//! Decision: ADR 0023.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    Version,
    ports::{Notification, Notifier, Subscription, Topic, VersionLookup},
};
use event_feed::EventFeed;
use tokio::sync::Notify;

use crate::session_watcher::SessionWatcher;

/// The notifier of a router. A notification of the worker that is not waiting ends its next wait.
pub(crate) struct RouterNotifier {
    work: Arc<Notify>,
    webhooks: Arc<Notify>,
    sessions: Arc<SessionWatcher>,
    feed: EventFeed,
}

impl RouterNotifier {
    /// Creates a notifier. `versions` is polled for changes by other routers.
    pub(crate) fn new(versions: Arc<dyn VersionLookup>, feed: EventFeed) -> Self {
        let (work, webhooks) = (Arc::default(), Arc::default());
        Self { work, webhooks, sessions: Arc::new(SessionWatcher::new(versions)), feed }
    }
}

impl Notifier for RouterNotifier {
    fn notify(&self, notification: Notification<'_>) {
        match notification {
            Notification::WorkDue => self.work.notify_one(),
            Notification::WebhookDue => {
                self.webhooks.notify_one();
                self.feed.committed();
            }
            Notification::SessionChanged { session, version } => {
                self.sessions.publish(session, version);
                self.feed.committed();
            }
        }
    }

    fn subscribe(self: Arc<Self>, topic: Topic<'_>) -> Box<dyn Subscription> {
        match topic {
            Topic::WorkDue => Box::new(WorkSubscription(self.work.clone())),
            Topic::WebhookDue => Box::new(WorkSubscription(self.webhooks.clone())),
            Topic::Session(session) => self.sessions.clone().subscribe(session),
        }
    }
}

struct WorkSubscription(Arc<Notify>);

#[async_trait]
impl Subscription for WorkSubscription {
    async fn wait(&mut self, _: Option<Version>, at_most: Duration) {
        // A timeout and a notification are handled alike.
        let _ = tokio::time::timeout(at_most, self.0.notified()).await;
    }
}

#[cfg(test)]
mod tests {
    use domain::testing::Memory;
    use event_feed::FeedPorts;

    use super::*;

    #[tokio::test]
    async fn work_notification_before_the_wait_is_not_lost() {
        let memory = Arc::new(Memory::new());
        let feed = EventFeed::new(FeedPorts {
            all: memory.clone(),
            organizations: memory.clone(),
            render: Arc::new(|_| Default::default()),
            interval: Duration::from_secs(1),
        });
        let notifier = Arc::new(RouterNotifier::new(memory, feed));
        let mut work = notifier.clone().subscribe(Topic::WorkDue);
        for _ in 0..3 {
            notifier.notify(Notification::WorkDue);
            notifier.notify(Notification::WorkDue);
            let limit = Duration::from_secs(20);
            let woken = tokio::time::timeout(limit, work.wait(None, Duration::from_secs(3600)));
            woken.await.expect("the notification was lost");
        }
        work.wait(None, Duration::from_millis(5)).await;
    }
}
