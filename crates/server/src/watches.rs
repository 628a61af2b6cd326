//! How those who wait for a session learn that it was written, by this process or another router.
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
    ports::{ChangeNotifier, Subscription, VersionLookup},
};
use tokio::{sync::watch, task::JoinHandle};

/// How long it goes unseen at most that another router wrote a session that is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The sessions that are waited for. While there are any, one look at the store, now and then, tells
/// all who wait: a thousand of them would be in everybody's way if each looked for itself.
pub(crate) struct SessionWatches {
    store: Arc<dyn VersionLookup>,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    sessions: HashMap<SessionId, watch::Sender<NewEvent>>,
    lookout: Option<JoinHandle<()>>,
}

/// What is known of a session.
#[derive(Clone, Copy, Debug, Default)]
struct NewEvent {
    /// The newest version.
    version: Option<Version>,
    /// How often there was something else to look for: that it is gone, or cannot be seen.
    alarms: u64,
}

impl NewEvent {
    /// Whether that was new.
    fn hear(&mut self, version: Option<Version>) -> bool {
        match version {
            Some(_) if version <= self.version => return false,
            Some(_) => self.version = version,
            None => self.alarms += 1,
        }
        true
    }
}

impl SessionWatches {
    /// Nobody waits yet.
    pub(crate) fn new(store: Arc<dyn VersionLookup>) -> Self {
        Self { store, watched: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for all who wait, until nobody does.
    async fn look_out(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            let Some(sessions) = self.waited_for() else { return };
            let versions = self.store.versions(&sessions).await.unwrap_or_else(|error| {
                // Who waits looks for itself, and says what comes of that.
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "cannot see what changed"
                );
                HashMap::new()
            });
            for session in &sessions {
                self.publish(session, versions.get(session).copied());
            }
        }
    }

    /// When nobody waits the lookout is over, and the next to wait begins another.
    fn waited_for(&self) -> Option<Vec<SessionId>> {
        let mut held = self.held();
        if held.sessions.is_empty() {
            held.lookout = None;
            return None;
        }
        Some(held.sessions.keys().cloned().collect())
    }
}

impl ChangeNotifier for SessionWatches {
    fn publish(&self, session: &SessionId, version: Option<Version>) {
        if let Some(news) = self.held().sessions.get(session) {
            news.send_if_modified(|news| news.hear(version));
        }
    }

    fn subscribe(self: Arc<Self>, session: &SessionId) -> Box<dyn Subscription> {
        let mut held = self.held();
        let news = held.sessions.entry(session.clone()).or_default().subscribe();
        // One that is finished without having been taken away has panicked.
        if held.lookout.as_ref().is_none_or(JoinHandle::is_finished) {
            held.lookout = Some(tokio::spawn(self.clone().look_out()));
        }
        drop(held);
        // What version it has come to meanwhile is news to whoever has seen an older one.
        let heard = NewEvent { version: None, ..*news.borrow() };
        Box::new(SessionWatch { session: session.clone(), news, heard, watches: self })
    }
}

/// One who waits for a session, which is not watched any more when its last has gone.
struct SessionWatch {
    session: SessionId,
    news: watch::Receiver<NewEvent>,
    /// What it was woken by last: the same does not wake it twice, whatever it then sees in the store.
    heard: NewEvent,
    watches: Arc<SessionWatches>,
}

#[async_trait]
impl Subscription for SessionWatch {
    async fn changed_since(&mut self, version: Version, at_most: Duration) {
        let heard = self.heard;
        let further = |news: &NewEvent| {
            news.alarms != heard.alarms
                || (news.version > Some(version) && news.version != heard.version)
        };
        // Which of the two it was does not matter.
        let _ = tokio::time::timeout(at_most, self.news.wait_for(further)).await;
        self.heard = *self.news.borrow();
    }
}

impl Drop for SessionWatch {
    fn drop(&mut self) {
        let mut held = self.watches.held();
        // This one still counts.
        if held.sessions.get(&self.session).is_some_and(|news| news.receiver_count() <= 1) {
            held.sessions.remove(&self.session);
        }
    }
}

#[cfg(test)]
mod tests;
