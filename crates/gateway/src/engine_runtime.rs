//! The engine's runtime, one for each connection. All tasks that the engine spawns for a session
//! end with the connection of that session, and a panic in a task is detected.
//!
//! The engine detaches its tasks. A remaining task would hold the keys open after they were wiped.

use std::{future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{sync::Semaphore, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;
use wacore::runtime::{AbortHandle, Runtime};

type Task = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// The runtime of one connection. Clones share the tasks.
#[derive(Clone, Debug)]
pub(crate) struct EngineRuntime {
    /// Permits for blocking computations, shared by all connections of the node.
    compute_permits: Arc<Semaphore>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    failed: CancellationToken,
    /// Adds the session to every log line of the engine.
    span: tracing::Span,
}

impl EngineRuntime {
    /// Creates the runtime of a session's connection.
    pub(crate) fn new(compute_permits: Arc<Semaphore>, session: &str) -> Self {
        let [shutdown, failed] = [0; 2].map(|_| CancellationToken::new());
        // At the highest level, so that no log filter removes the span.
        let span = tracing::error_span!("engine", session);
        Self { compute_permits, tasks: TaskTracker::new(), shutdown, failed, span }
    }

    /// Waits until a task has panicked or [`Self::mark_failed`] was called.
    pub(crate) async fn wait_failed(&self) {
        self.failed.cancelled().await;
    }

    /// Returns whether a task has panicked or [`Self::mark_failed`] was called.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.is_cancelled()
    }

    /// Marks the connection as unusable.
    pub(crate) fn mark_failed(&self) {
        self.failed.cancel();
    }

    /// Cancels every task and waits up to `patience` for their ends. Returns whether all tasks have
    /// ended.
    pub(crate) async fn shut_down(&self, patience: Duration) -> bool {
        self.shutdown.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(patience, self.tasks.wait()).await.is_ok();
        if !ended {
            let _session = self.span.enter();
            tracing::warn!(tasks = self.tasks.len(), "engine tasks do not end");
        }
        ended
    }

    /// Spawns a task that [`Self::shut_down`] cancels.
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
    /// Spawns a task that [`Self::shut_down`] waits for and does not cancel.
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
            // A new device generates hundreds of keys. Without a limit, many new devices at once
            // would keep all other work waiting for a processor.
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
        None // not needed on a multi-threaded runtime
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
        other.spawn_blocking(Box::new(|| ())).await; // the panicked computation returned its permit
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
