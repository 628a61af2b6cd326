//! The engine's runtime, one per connection: everything the engine spawns for a session ends with
//! that session's connection, and a panic in any of it is known.
//!
//! The engine detaches its tasks, and a straggler would hold the keys open after they were wiped.

use std::{future::Future, panic::AssertUnwindSafe, pin::Pin, time::Duration};

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wacore::runtime::{AbortHandle, Runtime};

type Task = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Where the tasks of one connection run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cage {
    tasks: TaskTracker,
    shut: CancellationToken,
    broken: CancellationToken,
}

impl Cage {
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

    /// Ends every task in it, and waits for them this long.
    pub(crate) async fn close(&self, patience: Duration) {
        self.shut.cancel();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "tasks of the engine do not end");
        }
    }

    /// Runs a task in it.
    pub(crate) fn run(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<Option<()>> {
        let (shut, broken) = (self.shut.clone(), self.broken.clone());
        self.tasks.spawn(async move {
            let outcome = shut.run_until_cancelled(AssertUnwindSafe(task).catch_unwind()).await?;
            if outcome.is_err() {
                broken.cancel();
            }
            Some(())
        })
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
        let (tracked, broken) = (self.tasks.token(), self.broken.clone());
        Box::pin(async move {
            let work = tokio::task::spawn_blocking(move || {
                let _tracked = tracked;
                work();
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

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn closing_ends_what_never_would() {
        let cage = Cage::default();
        cage.spawn_detached(Box::pin(std::future::pending()));
        cage.close(PATIENCE).await;
        assert!(cage.tasks.is_empty());
        assert!(!cage.is_broken());
    }

    #[tokio::test]
    async fn a_panic_is_known_and_stays_inside() {
        let cage = Cage::default();
        cage.spawn(Box::pin(async { panic!("inside") })).detach();
        tokio::time::timeout(PATIENCE, cage.broke()).await.unwrap();
        let blocking = Cage::default();
        blocking.spawn_blocking(Box::new(|| panic!("inside"))).await;
        assert!(blocking.is_broken());
    }
}
