//! Bells: how those who wait within this process are woken.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    SessionId,
    ports::{Bell, Changes},
};
use tokio::sync::Notify;

/// Wakes whoever waits. A ring that finds nobody waiting wakes the next one to wait, so that the
/// only waiter of a bell misses nothing; of several, those that were not waiting look again when
/// their own time is up.
#[derive(Debug, Default)]
pub(crate) struct NotifyBell {
    notify: Notify,
    waiting: AtomicUsize,
}

#[async_trait]
impl Bell for NotifyBell {
    fn ring(&self) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            self.notify.notify_one();
        } else {
            self.notify.notify_waiters();
        }
    }

    async fn wait(&self, at_most: Duration) {
        // Made before it is counted: from here on it hears every ring of either kind.
        let rung = self.notify.notified();
        let _counted = Counted::new(&self.waiting);
        // Which of the two it was does not matter.
        let _ = tokio::time::timeout(at_most, rung).await;
    }
}

/// One that waits, for as long as it does.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A bell for each session that somebody waits for: with one for all, every change of any session would
/// have all who wait look at theirs.
#[derive(Debug, Default)]
pub(crate) struct SessionBells(Mutex<HashMap<SessionId, Arc<NotifyBell>>>);

impl SessionBells {
    fn held(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<NotifyBell>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes for SessionBells {
    fn tell(&self, session: &SessionId) {
        let bell = self.held().get(session).cloned();
        if let Some(bell) = bell {
            bell.ring();
        }
    }

    fn bell(self: Arc<Self>, session: &SessionId) -> Arc<dyn Bell> {
        let bell = self.held().entry(session.clone()).or_default().clone();
        Arc::new(SessionBell { session: session.clone(), bell, bells: self })
    }
}

/// A session's bell, which is taken down with the last who waits for that session.
struct SessionBell {
    session: SessionId,
    bell: Arc<NotifyBell>,
    bells: Arc<SessionBells>,
}

#[async_trait]
impl Bell for SessionBell {
    fn ring(&self) {
        self.bell.ring();
    }

    async fn wait(&self, at_most: Duration) {
        self.bell.wait(at_most).await;
    }
}

impl Drop for SessionBell {
    fn drop(&mut self) {
        let mut held = self.bells.held();
        // The one that is held, and this.
        if Arc::strong_count(&self.bell) <= 2 {
            held.remove(&self.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test lives: who waits this long heard nothing.
    const FOREVER: Duration = Duration::from_secs(3600);
    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_ring_wakes_everybody_who_waits() {
        let bell = Arc::new(NotifyBell::default());
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let bell = bell.clone();
                tokio::spawn(async move { bell.wait(FOREVER).await })
            })
            .collect();
        while bell.waiting.load(Ordering::SeqCst) < 5 {
            tokio::task::yield_now().await;
        }
        bell.ring();
        for waiter in waiters {
            tokio::time::timeout(PATIENCE, waiter).await.expect("still waiting").unwrap();
        }
        assert_eq!(bell.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_ring_while_its_only_waiter_looks_elsewhere_is_kept() {
        let bell = NotifyBell::default();
        for _ in 0..3 {
            bell.ring();
            bell.ring();
            tokio::time::timeout(PATIENCE, bell.wait(FOREVER)).await.expect("the ring was lost");
        }
    }

    #[tokio::test]
    async fn a_wait_ends_by_itself_and_leaves_nobody_counted() {
        let bell = NotifyBell::default();
        bell.wait(Duration::from_millis(5)).await;
        assert_eq!(bell.waiting.load(Ordering::SeqCst), 0);
        // One given up from outside, too.
        let given_up = tokio::time::timeout(Duration::from_millis(5), bell.wait(FOREVER)).await;
        assert!(given_up.is_err());
        assert_eq!(bell.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn only_who_waits_for_a_session_is_woken_by_it() {
        let bells = Arc::new(SessionBells::default());
        let [one, other] = [1, 2].map(SessionId::mint);
        let [first, second, third] =
            [&one, &one, &other].map(|session| bells.clone().bell(session));
        let woken = async { tokio::join!(first.wait(FOREVER), second.wait(FOREVER)) };
        let told = async {
            while bells.held()[&one].waiting.load(Ordering::SeqCst) < 2 {
                tokio::task::yield_now().await;
            }
            bells.tell(&one);
        };
        let both = async { tokio::join!(woken, told) };
        tokio::time::timeout(PATIENCE, both).await.expect("still waiting");
        let asleep = tokio::time::timeout(Duration::from_millis(20), third.wait(FOREVER)).await;
        assert!(asleep.is_err(), "woken by another session");
        // What was told since the bell was asked for is not missed.
        bells.tell(&other);
        tokio::time::timeout(PATIENCE, third.wait(FOREVER)).await.expect("the ring was lost");
    }

    #[tokio::test]
    async fn no_bell_is_left_when_nobody_waits() {
        let bells = Arc::new(SessionBells::default());
        let session = SessionId::mint(1);
        let [first, second] = [0; 2].map(|_| bells.clone().bell(&session));
        drop(first);
        assert_eq!(bells.held().len(), 1, "one still waits");
        drop(second);
        assert!(bells.held().is_empty());
        bells.tell(&session);
        assert!(bells.held().is_empty(), "a change nobody waits for leaves nothing");
    }
}
