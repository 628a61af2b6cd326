//! Collects requests to PostgreSQL into batches.
//!
//! Most of the cost of one row is not the row but the message, the wake-up, the snapshot and the
//! flush: thirty rows in one statement cost little more than a few. A request never waits for
//! others to join: while fewer batches are in flight than the limit allows, a request starts a
//! batch at once.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::timeout;
use tracing::Instrument as _;

/// A batch in flight for longer than this no longer counts towards the limit, so that a locked row
/// or a silent connection does not delay other requests.
const OVERDUE_AFTER: Duration = Duration::from_millis(100);

/// Batches requests, with a maximum number of batches in flight and of requests in a batch.
pub(crate) struct Batcher<R> {
    pending: Arc<Mutex<Pending<R>>>,
    in_flight: usize,
    max_batch: usize,
}

struct Pending<R> {
    requests: Vec<R>,
    in_flight: usize,
}

impl<R: Send + 'static> Batcher<R> {
    pub(crate) fn new(in_flight: usize, max_batch: usize) -> Self {
        let pending = Pending { requests: Vec::new(), in_flight: 0 };
        Self { pending: Arc::new(Mutex::new(pending)), in_flight, max_batch }
    }

    /// Enqueues a request. `serve` processes one batch, and runs to completion even if the callers
    /// are dropped.
    pub(crate) fn submit<S, F>(&self, request: R, serve: impl FnOnce() -> S)
    where
        S: Fn(Vec<R>) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let starts = {
            let mut pending = lock(&self.pending);
            pending.requests.push(request);
            let starts = pending.in_flight < self.in_flight;
            pending.in_flight += usize::from(starts);
            starts
        };
        if starts {
            let runner = BatchRunner {
                pending: self.pending.clone(),
                max_batch: self.max_batch,
                ended: false,
            };
            // A separate task, because the batch serves other callers too.
            tokio::spawn(runner.run(serve()).in_current_span());
        }
    }
}

/// Runs batches one after another; counts as one batch in flight.
struct BatchRunner<R> {
    pending: Arc<Mutex<Pending<R>>>,
    max_batch: usize,
    ended: bool,
}

impl<R> BatchRunner<R> {
    /// Serves the waiting requests, and then the ones that arrived meanwhile, until none wait.
    async fn run<F>(mut self, serve: impl Fn(Vec<R>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Requests often arrive in groups: tasks that are ready submit their requests first.
        tokio::task::yield_now().await;
        while let Some(requests) = self.next_batch() {
            let mut served = Box::pin(serve(requests));
            if timeout(OVERDUE_AFTER, &mut served).await.is_err() {
                tokio::spawn(served.in_current_span());
            }
        }
    }

    /// Takes the next batch; without waiting requests, ends the runner.
    fn next_batch(&mut self) -> Option<Vec<R>> {
        let mut pending = lock(&self.pending);
        let rest = pending.requests.len().min(self.max_batch);
        let rest = pending.requests.split_off(rest);
        let requests = mem::replace(&mut pending.requests, rest);
        if requests.is_empty() {
            pending.in_flight -= 1;
            self.ended = true;
            return None;
        }
        Some(requests)
    }
}

impl<R> Drop for BatchRunner<R> {
    /// Releases the slot of a runner whose task was cancelled or panicked.
    fn drop(&mut self) {
        if !self.ended {
            lock(&self.pending).in_flight -= 1;
        }
    }
}

fn lock<R>(pending: &Mutex<Pending<R>>) -> MutexGuard<'_, Pending<R>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
