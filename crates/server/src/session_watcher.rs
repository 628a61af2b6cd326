//! [`SessionWatcher`]: wakes requests that wait for a session when this or another router writes
//! it.
//!
//! Decision: ADR 0023.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    SessionId, Version,
    ports::{Subscription, VersionLookup},
};
use tokio::{sync::watch, task::JoinHandle};

/// The time between two polls of the store for changes by other routers.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The sessions that requests wait for. One task polls the store for all of them while there are
/// any, so that a thousand waiting requests do not send a thousand queries.
pub(crate) struct SessionWatcher {
    store: Arc<dyn VersionLookup>,
    watched: Mutex<WatchedSessions>,
}

#[derive(Default)]
struct WatchedSessions {
    sessions: HashMap<SessionId, watch::Sender<ObservedVersion>>,
    poll_task: Option<JoinHandle<()>>,
}

/// The newest known change of a session.
#[derive(Clone, Copy, Debug, Default)]
struct ObservedVersion {
    /// The newest version; `None` before the first notification with a version.
    version: Option<Version>,
    /// The number of notifications without a version: the session is deleted, or the store failed.
    generic_changes: u64,
}

impl ObservedVersion {
    /// Applies a notification. Returns false if the notification is outdated.
    fn apply(&mut self, version: Option<Version>) -> bool {
        match version {
            Some(_) if version <= self.version => return false,
            Some(_) => self.version = version,
            None => self.generic_changes += 1,
        }
        true
    }
}

impl SessionWatcher {
    /// Creates a watcher without subscriptions.
    pub(crate) fn new(store: Arc<dyn VersionLookup>) -> Self {
        Self { store, watched: Mutex::default() }
    }

    /// Wakes the subscriptions of a session that read an older version; with `None`, all.
    pub(crate) fn publish(&self, session: &SessionId, version: Option<Version>) {
        if let Some(changes) = self.lock().sessions.get(session) {
            changes.send_if_modified(|changes| changes.apply(version));
        }
    }

    /// Subscribes to changes of a session from now on.
    pub(crate) fn subscribe(self: Arc<Self>, session: &SessionId) -> Box<dyn Subscription> {
        let mut watched = self.lock();
        let changes = watched.sessions.entry(session.clone()).or_default().subscribe();
        // A task that is finished but still stored has panicked.
        if watched.poll_task.as_ref().is_none_or(JoinHandle::is_finished) {
            watched.poll_task = Some(tokio::spawn(self.clone().poll_loop()));
        }
        drop(watched);
        // A version that is already known wakes a subscriber that has read an older version.
        let last_wake = ObservedVersion { version: None, ..*changes.borrow() };
        Box::new(SessionSubscription {
            session: session.clone(),
            changes,
            last_wake,
            watcher: self,
        })
    }

    fn lock(&self) -> MutexGuard<'_, WatchedSessions> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls the store until no subscription is left.
    async fn poll_loop(self: Arc<Self>) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let Some(sessions) = self.watched_sessions() else { return };
            let versions = self.store.versions(&sessions).await.unwrap_or_else(|error| {
                // All waiting requests read the store themselves and report the error.
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "session versions cannot be polled"
                );
                HashMap::new()
            });
            for session in &sessions {
                self.publish(session, versions.get(session).copied());
            }
        }
    }

    /// Returns the watched sessions. Without any, ends the poll task; the next subscription starts
    /// a new one.
    fn watched_sessions(&self) -> Option<Vec<SessionId>> {
        let mut watched = self.lock();
        if watched.sessions.is_empty() {
            watched.poll_task = None;
            return None;
        }
        Some(watched.sessions.keys().cloned().collect())
    }
}

/// A subscription. When the last subscription of a session is dropped, the session is no longer
/// watched.
struct SessionSubscription {
    session: SessionId,
    changes: watch::Receiver<ObservedVersion>,
    /// The change that caused the last wake-up. It does not wake the subscription again, even if
    /// the store still returns an older version.
    last_wake: ObservedVersion,
    watcher: Arc<SessionWatcher>,
}

#[async_trait]
impl Subscription for SessionSubscription {
    async fn wait(&mut self, known: Option<Version>, at_most: Duration) {
        let last_wake = self.last_wake;
        let is_newer = |changes: &ObservedVersion| {
            changes.generic_changes != last_wake.generic_changes
                || (changes.version > known && changes.version != last_wake.version)
        };
        // A timeout and a change are handled alike.
        let _ = tokio::time::timeout(at_most, self.changes.wait_for(is_newer)).await;
        self.last_wake = *self.changes.borrow();
    }
}

impl Drop for SessionSubscription {
    fn drop(&mut self) {
        let mut watched = self.watcher.lock();
        // The count still includes this subscription.
        if watched.sessions.get(&self.session).is_some_and(|changes| changes.receiver_count() <= 1)
        {
            watched.sessions.remove(&self.session);
        }
    }
}

#[cfg(test)]
mod tests;
