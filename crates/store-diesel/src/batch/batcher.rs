//! Where whoever wants something of PostgreSQL leaves it, to be carried there together with what others
//! want.
//!
//! Most of what one row costs a server is not the row but the message, the wake-up, the snapshot, the
//! flush: thirty that come together cost little more than a few. Nobody waits to be joined: whoever comes
//! while fewer flights are under way than there may be goes at once.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::timeout;
use tracing::Instrument as _;

/// A flight that takes longer than this no longer keeps others from taking off: a row that somebody has
/// locked, or a connection that has gone silent, must not hold up everybody.
const OVERDUE_AFTER: Duration = Duration::from_millis(100);

/// Gathers what is wanted, for so many flights at once with so many aboard at most.
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

    /// Leaves this here. `serve` is what is done with those who fly together; it goes on to its end
    /// whoever loses interest.
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
            // In a task of its own: it serves others than the one who began it.
            tokio::spawn(runner.run(serve()).in_current_span());
        }
    }
}

/// One of those under way.
struct BatchRunner<R> {
    pending: Arc<Mutex<Pending<R>>>,
    max_batch: usize,
    ended: bool,
}

impl<R> BatchRunner<R> {
    /// Serves those who wait, then those who came meanwhile, until there are none.
    async fn run<F>(mut self, serve: impl Fn(Vec<R>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Whoever is about to ask does so first: requests often come several at a time.
        tokio::task::yield_now().await;
        while let Some(requests) = self.next_batch() {
            let mut served = Box::pin(serve(requests));
            if timeout(OVERDUE_AFTER, &mut served).await.is_err() {
                tokio::spawn(served.in_current_span());
            }
        }
    }

    /// Those who wait, as many as fit; else the end of the flight.
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
    /// One that was cut off makes room for another all the same.
    fn drop(&mut self) {
        if !self.ended {
            lock(&self.pending).in_flight -= 1;
        }
    }
}

fn lock<R>(pending: &Mutex<Pending<R>>) -> MutexGuard<'_, Pending<R>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
