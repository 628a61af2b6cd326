//! The engine's runtime, one per connection: everything the engine spawns for a session ends with
//! that session's connection, and a panic in any of it is known.
//!
//! The engine detaches its tasks, and a straggler would hold the keys open after they were wiped.

use std::{future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{sync::Semaphore, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;
use wacore::runtime::{AbortHandle, Runtime};

type Task = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Where the tasks of one connection run.
#[derive(Clone, Debug)]
pub(crate) struct Cage {
    /// Turns at computing, which all connections of the node share.
    turns: Arc<Semaphore>,
    tasks: TaskTracker,
    shut: CancellationToken,
    broken: CancellationToken,
    /// Names the session in every line that the engine logs.
    span: tracing::Span,
}

impl Cage {
    /// One for this session, that computes when it has one of these turns.
    pub(crate) fn new(turns: Arc<Semaphore>, session: &str) -> Self {
        let [shut, broken] = [0; 2].map(|_| CancellationToken::new());
        // At the highest level, so that no filter of lines takes it away.
        let span = tracing::error_span!("engine", session);
        Self { turns, tasks: TaskTracker::new(), shut, broken, span }
    }

    /// Waits until something in it panicked.
    pub(crate) async fn broke(&self) {
        self.broken.cancelled().await;
    }

    /// Whether something in it panicked.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_cancelled()
    }

    /// Declares the connection unusable.
    pub(crate) fn breaks(&self) {
        self.broken.cancel();
    }

    /// Ends every task in it, and waits for them this long. Whether all have ended.
    pub(crate) async fn close(&self, patience: Duration) -> bool {
        self.shut.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(patience, self.tasks.wait()).await.is_ok();
        if !ended {
            let _session = self.span.enter();
            tracing::warn!(tasks = self.tasks.len(), "tasks of the engine do not end");
        }
        ended
    }

    /// Runs a task in it.
    pub(crate) fn run(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<Option<()>> {
        let (shut, broken) = (self.shut.clone(), self.broken.clone());
        let task = task.instrument(self.span.clone());
        self.tasks.spawn(async move {
            let outcome = shut.run_until_cancelled(AssertUnwindSafe(task).catch_unwind()).await?;
            if outcome.is_err() {
                broken.cancel();
            }
            Some(())
        })
    }
}

impl Cage {
    /// Runs a task to its end, which the end of the cage waits for and does not cut short.
    pub(crate) fn run_to_end<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.tasks.spawn(task.instrument(self.span.clone()))
    }
}

impl Runtime for Cage {
    fn spawn(&self, future: Task) -> AbortHandle {
        let handle = self.run(future);
        AbortHandle::new(move || handle.abort())
    }

    fn spawn_detached(&self, future: Task) {
        drop(self.run(future));
    }

    fn sleep(&self, duration: Duration) -> Task {
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> Task {
        let (tracked, broken, turns) =
            (self.tasks.token(), self.broken.clone(), self.turns.clone());
        let span = self.span.clone();
        Box::pin(async move {
            // A new device makes hundreds of keys: a crowd of them would keep all else on this machine
            // waiting for a core.
            let Ok(turn) = turns.acquire_owned().await else { return };
            let work = tokio::task::spawn_blocking(move || {
                let _held = (tracked, turn);
                span.in_scope(work);
            });
            if work.await.is_err_and(|error| error.is_panic()) {
                broken.cancel();
            }
        })
    }

    fn yield_now(&self) -> Option<Task> {
        None // many threads: the others go on by themselves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn a_cage() -> Cage {
        Cage::new(Arc::new(Semaphore::new(1)), "sess_1")
    }

    #[tokio::test]
    async fn as_many_compute_as_there_are_turns() {
        let (one, now) = (a_cage(), Arc::new(AtomicUsize::new(0)));
        let other = Cage::new(one.turns.clone(), "sess_2");
        let computing = [&one, &other, &one].map(|cage| {
            let now = now.clone();
            cage.spawn_blocking(Box::new(move || {
                assert_eq!(now.fetch_add(1, Ordering::SeqCst), 0);
                std::thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
            }))
        });
        futures_util::future::join_all(computing).await;
        assert!(!one.is_broken() && !other.is_broken());
        one.spawn_blocking(Box::new(|| panic!("inside"))).await;
        other.spawn_blocking(Box::new(|| ())).await; // a turn that broke down is given back
    }

    #[tokio::test]
    async fn closing_ends_what_never_would() {
        let cage = a_cage();
        cage.spawn_detached(Box::pin(std::future::pending()));
        assert!(cage.close(PATIENCE).await);
        assert!(cage.tasks.is_empty());
        assert!(!cage.is_broken());
    }

    #[tokio::test]
    async fn a_panic_is_known_and_stays_inside() {
        let cage = a_cage();
        cage.spawn(Box::pin(async { panic!("inside") })).detach();
        tokio::time::timeout(PATIENCE, cage.broke()).await.unwrap();
        let blocking = a_cage();
        blocking.spawn_blocking(Box::new(|| panic!("inside"))).await;
        assert!(blocking.is_broken());
    }
}
