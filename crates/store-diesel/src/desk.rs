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
const OVERDUE: Duration = Duration::from_millis(100);

/// Gathers what is wanted, for so many flights at once with so many aboard at most.
pub(crate) struct Desk<A> {
    waiting: Arc<Mutex<Waiting<A>>>,
    flights: usize,
    most: usize,
}

struct Waiting<A> {
    asks: Vec<A>,
    flights: usize,
}

impl<A: Send + 'static> Desk<A> {
    pub(crate) fn new(flights: usize, most: usize) -> Self {
        let waiting = Waiting { asks: Vec::new(), flights: 0 };
        Self { waiting: Arc::new(Mutex::new(waiting)), flights, most }
    }

    /// Leaves this here. `serve` is what is done with those who fly together; it goes on to its end
    /// whoever loses interest.
    pub(crate) fn leave<S, F>(&self, ask: A, serve: impl FnOnce() -> S)
    where
        S: Fn(Vec<A>) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let takes_off = {
            let mut waiting = lock(&self.waiting);
            waiting.asks.push(ask);
            let takes_off = waiting.flights < self.flights;
            waiting.flights += usize::from(takes_off);
            takes_off
        };
        if takes_off {
            let flight = Flight { waiting: self.waiting.clone(), most: self.most, landed: false };
            // In a task of its own: it serves others than the one who began it.
            tokio::spawn(flight.fly(serve()).in_current_span());
        }
    }
}

/// One of those under way.
struct Flight<A> {
    waiting: Arc<Mutex<Waiting<A>>>,
    most: usize,
    landed: bool,
}

impl<A> Flight<A> {
    /// Serves those who wait, then those who came meanwhile, until there are none.
    async fn fly<F>(mut self, serve: impl Fn(Vec<A>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Whoever is about to ask does so first: requests often come several at a time.
        tokio::task::yield_now().await;
        while let Some(asks) = self.board() {
            let mut served = Box::pin(serve(asks));
            if timeout(OVERDUE, &mut served).await.is_err() {
                tokio::spawn(served.in_current_span());
            }
        }
    }

    /// Those who wait, as many as fit; else the end of the flight.
    fn board(&mut self) -> Option<Vec<A>> {
        let mut waiting = lock(&self.waiting);
        let rest = waiting.asks.len().min(self.most);
        let rest = waiting.asks.split_off(rest);
        let asks = mem::replace(&mut waiting.asks, rest);
        if asks.is_empty() {
            waiting.flights -= 1;
            self.landed = true;
            return None;
        }
        Some(asks)
    }
}

impl<A> Drop for Flight<A> {
    /// One that was cut off makes room for another all the same.
    fn drop(&mut self) {
        if !self.landed {
            lock(&self.waiting).flights -= 1;
        }
    }
}

fn lock<A>(waiting: &Mutex<Waiting<A>>) -> MutexGuard<'_, Waiting<A>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
