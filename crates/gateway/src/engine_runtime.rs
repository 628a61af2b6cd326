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
pub(crate) struct EngineRuntime {
    /// Turns at computing, which all connections of the node share.
    compute_permits: Arc<Semaphore>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    failed: CancellationToken,
    /// Names the session in every line that the engine logs.
    span: tracing::Span,
}

impl EngineRuntime {
    /// One for this session, that computes when it has one of these turns.
    pub(crate) fn new(compute_permits: Arc<Semaphore>, session: &str) -> Self {
        let [shutdown, failed] = [0; 2].map(|_| CancellationToken::new());
        // At the highest level, so that no filter of lines takes it away.
        let span = tracing::error_span!("engine", session);
        Self { compute_permits, tasks: TaskTracker::new(), shutdown, failed, span }
    }

    /// Waits until something in it panicked.
    pub(crate) async fn wait_failed(&self) {
        self.failed.cancelled().await;
    }

    /// Whether something in it panicked.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.is_cancelled()
    }

    /// Declares the connection unusable.
    pub(crate) fn mark_failed(&self) {
        self.failed.cancel();
    }

    /// Ends every task in it, and waits for them this long. Whether all have ended.
    pub(crate) async fn shut_down(&self, patience: Duration) -> bool {
        self.shutdown.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(patience, self.tasks.wait()).await.is_ok();
        if !ended {
            let _session = self.span.enter();
            tracing::warn!(tasks = self.tasks.len(), "tasks of the engine do not end");
        }
        ended
    }

    /// Runs a task in it.
    pub(crate) fn spawn_cancellable(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<Option<()>> {
        let (shutdown, failed) = (self.shutdown.clone(), self.failed.clone());
        let task = task.instrument(self.span.clone());
        self.tasks.spawn(async move {
            let outcome =
                shutdown.run_until_cancelled(AssertUnwindSafe(task).catch_unwind()).await?;
            if outcome.is_err() {
                failed.cancel();
            }
            Some(())
        })
    }
}

impl EngineRuntime {
    /// Runs a task to its end, which the end of the cage waits for and does not cut short.
    pub(crate) fn spawn_to_completion<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.tasks.spawn(task.instrument(self.span.clone()))
    }
}

impl Runtime for EngineRuntime {
    fn spawn(&self, future: Task) -> AbortHandle {
        let handle = self.spawn_cancellable(future);
        AbortHandle::new(move || handle.abort())
    }

    fn spawn_detached(&self, future: Task) {
        drop(self.spawn_cancellable(future));
    }

    fn sleep(&self, duration: Duration) -> Task {
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> Task {
        let (tracked, failed, compute_permits) =
            (self.tasks.token(), self.failed.clone(), self.compute_permits.clone());
        let span = self.span.clone();
        Box::pin(async move {
            // A new device makes hundreds of keys: a crowd of them would keep all else on this machine
            // waiting for a core.
            let Ok(compute_permit) = compute_permits.acquire_owned().await else { return };
            let work = tokio::task::spawn_blocking(move || {
                let _held = (tracked, compute_permit);
                span.in_scope(work);
            });
            if work.await.is_err_and(|error| error.is_panic()) {
                failed.cancel();
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

    fn test_runtime() -> EngineRuntime {
        EngineRuntime::new(Arc::new(Semaphore::new(1)), "sess_1")
    }

    #[tokio::test]
    async fn computations_are_limited_by_permits() {
        let (first, now) = (test_runtime(), Arc::new(AtomicUsize::new(0)));
        let other = EngineRuntime::new(first.compute_permits.clone(), "sess_2");
        let computing = [&first, &other, &first].map(|runtime| {
            let now = now.clone();
            runtime.spawn_blocking(Box::new(move || {
                assert_eq!(now.fetch_add(1, Ordering::SeqCst), 0);
                std::thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
            }))
        });
        futures_util::future::join_all(computing).await;
        assert!(!first.has_failed() && !other.has_failed());
        first.spawn_blocking(Box::new(|| panic!("inside"))).await;
        other.spawn_blocking(Box::new(|| ())).await; // a turn that broke down is given back
    }

    #[tokio::test]
    async fn shutdown_ends_pending_tasks() {
        let runtime = test_runtime();
        runtime.spawn_detached(Box::pin(std::future::pending()));
        assert!(runtime.shut_down(PATIENCE).await);
        assert!(runtime.tasks.is_empty());
        assert!(!runtime.has_failed());
    }

    #[tokio::test]
    async fn panic_is_detected_and_contained() {
        let runtime = test_runtime();
        runtime.spawn(Box::pin(async { panic!("inside") })).detach();
        tokio::time::timeout(PATIENCE, runtime.wait_failed()).await.unwrap();
        let blocking = test_runtime();
        blocking.spawn_blocking(Box::new(|| panic!("inside"))).await;
        assert!(blocking.has_failed());
    }
}
