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
/// Every notification follows a commit of this process, whose events the feed then reads at once.
pub(crate) struct RouterNotifier {
    feed: EventFeed,
    work: Arc<Notify>,
    webhooks: Arc<Notify>,
    outbox: Arc<Notify>,
    sessions: Arc<SessionWatcher>,
    messages: Arc<SessionWatcher>,
}

impl RouterNotifier {
    /// Creates a notifier. `sessions` and `messages` are polled for changes by other routers: the
    /// versions of sessions, and those of their messages.
    pub(crate) fn new(
        sessions: Arc<dyn VersionLookup>,
        messages: Arc<dyn VersionLookup>,
        feed: EventFeed,
    ) -> Self {
        Self {
            feed,
            work: Arc::default(),
            webhooks: Arc::default(),
            outbox: Arc::default(),
            sessions: Arc::new(SessionWatcher::new(sessions)),
            messages: Arc::new(SessionWatcher::new(messages)),
        }
    }
}

impl Notifier for RouterNotifier {
    fn notify(&self, notification: Notification<'_>) {
        self.feed.committed();
        match notification {
            Notification::WorkDue => self.work.notify_one(),
            Notification::WebhookDue => self.webhooks.notify_one(),
            Notification::OutboxDue => self.outbox.notify_one(),
            Notification::MessagesChanged { session, version } => {
                self.messages.publish(session, version);
            }
            Notification::SessionChanged { session, version } => {
                self.sessions.publish(session, version);
            }
        }
    }

    fn subscribe(self: Arc<Self>, topic: Topic<'_>) -> Box<dyn Subscription> {
        match topic {
            Topic::WorkDue => Box::new(WorkSubscription(self.work.clone())),
            Topic::WebhookDue => Box::new(WorkSubscription(self.webhooks.clone())),
            Topic::OutboxDue => Box::new(WorkSubscription(self.outbox.clone())),
            Topic::Messages(session) => self.messages.clone().subscribe(session),
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
    use domain::{
        Caller, Capability, FeedFilter, FeedRights, OrganizationId, Session, Settings,
        testing::{Memory, TestEnvironment, commit_parts, insert_session},
    };
    use event_feed::FeedPorts;

    use super::*;

    /// Longer than a test takes.
    const HOUR: Duration = Duration::from_secs(3600);

    fn feed(memory: &Memory) -> EventFeed {
        let store = Arc::new(memory.clone());
        EventFeed::new(FeedPorts {
            all: store.clone(),
            organizations: store,
            render: Arc::new(http_hyper::render_event),
            interval: HOUR,
        })
    }

    #[tokio::test]
    async fn work_notification_before_the_wait_is_not_lost() {
        let memory = Memory::new();
        let notifier = Arc::new(RouterNotifier::new(
            Arc::new(memory.clone()),
            memory.messaging_versions(),
            feed(&memory),
        ));
        let mut work = notifier.clone().subscribe(Topic::WorkDue);
        for _ in 0..3 {
            notifier.notify(Notification::WorkDue);
            notifier.notify(Notification::WorkDue);
            let limit = Duration::from_secs(20);
            let woken = tokio::time::timeout(limit, work.wait(None, HOUR));
            woken.await.expect("the notification was lost");
        }
        work.wait(None, Duration::from_millis(5)).await;
    }

    #[tokio::test]
    async fn notification_of_a_commit_wakes_the_feed() {
        let (memory, environment) = (Memory::new(), TestEnvironment::new());
        let feed = feed(&memory);
        let notifier = RouterNotifier::new(
            Arc::new(memory.clone()),
            memory.messaging_versions(),
            feed.clone(),
        );
        tokio::spawn(feed.clone().run(tokio_util::sync::CancellationToken::new()));
        let manager = Caller::operator(OrganizationId::parse("acme").unwrap());
        let scope = manager.may(Capability::Manage).unwrap();
        let rights = FeedRights::of(&manager).unwrap();
        let start = feed.horizon().await.unwrap();
        let mut reader = feed.subscribe(rights, FeedFilter::default(), start);
        let first_read = tokio::time::timeout(Duration::from_millis(100), reader.next());
        assert!(first_read.await.is_err(), "there is no event");
        let session =
            Session::new(scope.organization().clone(), None, Settings::default(), &*environment);
        let (session, _, events) = commit_parts(session.created(), scope.actor(), &*environment);
        let written = insert_session(&memory, &scope, &session, &events, None).await;
        assert_eq!(written.unwrap(), Ok(domain::ports::Written::Done));
        notifier.notify(Notification::SessionChanged { session: &session.id, version: None });
        let read = tokio::time::timeout(Duration::from_secs(20), reader.next());
        let read = read.await.expect("the notification woke the feed").unwrap();
        assert_eq!(read[0].id, events[0].id);
        let shown: serde_json::Value = serde_json::from_slice(&read[0].text).unwrap();
        assert_eq!(
            (&shown["event"], &shown["stream"]),
            (&"session.created".into(), &"session".into())
        );
    }
}
