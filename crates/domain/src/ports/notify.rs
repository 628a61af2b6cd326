//! Notifications: one port wakes the worker and the requests that wait for a session.
//!
//! Decision: ADR 0023.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{id::SessionId, ports::error::PortResult, session::version::Version};

/// A notification of the waiters of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notification<'a> {
    /// A row may be due earlier than the worker expects.
    WorkDue,
    /// A webhook may be due earlier than the dispatcher expects.
    WebhookDue,
    /// A message may be due earlier than the sender of messages expects.
    OutboxDue,
    /// This process changed the messages of a session.
    MessagesChanged {
        /// The session.
        session: &'a SessionId,
        /// The new version of the session's messages. `None` if the session is deleted.
        version: Option<Version>,
    },
    /// This process wrote a session.
    SessionChanged {
        /// The session.
        session: &'a SessionId,
        /// The new version. `None` if the session is deleted.
        version: Option<Version>,
    },
}

/// The topic of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic<'a> {
    /// [`Notification::WorkDue`]. Has one subscriber: the worker of this process.
    WorkDue,
    /// [`Notification::WebhookDue`]. Has one subscriber: the dispatcher of this process.
    WebhookDue,
    /// [`Notification::OutboxDue`]. Has one subscriber: the sender of messages of this process.
    OutboxDue,
    /// Changes of this session by any process.
    Session(&'a SessionId),
    /// Changes of this session's messages by any process.
    Messages(&'a SessionId),
}

/// Wakes waiters. A notification carries a version at most: waiters re-read the store within their
/// own scope. A lost notification adds latency and loses no data, because every wait ends by itself.
pub trait Notifier: Send + Sync {
    /// Wakes the waiters of the notification's topic.
    fn notify(&self, notification: Notification<'_>);

    /// Subscribes to notifications from now on.
    fn subscribe(self: Arc<Self>, topic: Topic<'_>) -> Box<dyn Subscription>;
}

/// Subscription of one waiter to one topic.
#[async_trait]
pub trait Subscription: Send {
    /// Returns at the next notification: at once if this process sends it, after a short poll for a
    /// session that another router wrote, and after `at_most` in any case. A notification about
    /// version `known` or an older one does not count. Spurious returns are allowed.
    async fn wait(&mut self, known: Option<Version>, at_most: Duration);
}

/// Lookup of session versions across organizations. Only for the notification of waiters.
#[async_trait]
pub trait VersionLookup: Send + Sync {
    /// Returns the stored versions. Deleted sessions are missing.
    ///
    /// # Errors
    /// See [`PortError`](crate::ports::error::PortError).
    async fn versions(&self, ids: &[SessionId]) -> PortResult<HashMap<SessionId, Version>>;
}
