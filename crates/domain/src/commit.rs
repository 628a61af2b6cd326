//! The commit path of every use case: find, decide, commit, notify.
//!
//! A decision is a pure function of the state that was found. Its rows, events and recorded response
//! are one [`Commit`], which a store writes in one transaction. If another writer changed the rows
//! in between, [`execute`] finds and decides again. Waiters are notified after the commit.
//!
//! Decisions: ADR 0012, ADR 0036.

use crate::{
    error::{Error, Result},
    event::Event,
    idempotency::IdempotencyRecord,
    ports::store::written::Written,
};

/// A change of rows with everything that is written in its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit<C, I = Option<IdempotencyRecord>> {
    /// The change of the rows.
    pub change: C,
    /// Events of the change.
    pub events: Vec<Event>,
    /// The idempotency record of the request. `None` for a request without an idempotency key.
    pub idempotency: I,
}

/// A commit of berth itself, which answers no request.
pub type SystemCommit<C> = Commit<C, ()>;

impl<C> SystemCommit<C> {
    /// Adds the idempotency record of the request that causes the change.
    pub fn recorded(self, idempotency: Option<IdempotencyRecord>) -> Commit<C> {
        Commit { change: self.change, events: self.events, idempotency }
    }
}

impl<C, I> Commit<C, I> {
    /// Converts the change.
    pub fn map<D>(self, convert: impl FnOnce(C) -> D) -> Commit<D, I> {
        let Self { change, events, idempotency } = self;
        Commit { change: convert(change), events, idempotency }
    }
}

/// A decision of a use case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<C, R> {
    /// Write the commit. The second value is the result of the use case.
    Write(C, R),
    /// Write nothing. The value is the result of the use case.
    Keep(R),
}

impl<C, R> Decision<C, R> {
    /// Converts the result.
    pub fn map<T>(self, convert: impl FnOnce(R) -> T) -> Decision<C, T> {
        match self {
            Self::Write(commit, result) => Decision::Write(commit, convert(result)),
            Self::Keep(result) => Decision::Keep(convert(result)),
        }
    }
}

/// The destination of commits: the store that writes them, and the waiters of its rows.
pub trait CommitTarget: Sync {
    /// The commits that the store takes.
    type Commit: Sync;

    /// Writes a commit.
    ///
    /// # Errors
    /// Errors of the store, and rejections that a retry does not change.
    fn write(&self, commit: &Self::Commit) -> impl Future<Output = Result<Written>> + Send;

    /// Notifies the waiters of a written commit.
    fn notify(&self, commit: &Self::Commit);
}

/// Maximum number of attempts of a commit that races with other writers.
const MAX_ATTEMPTS: u32 = 16;

/// Finds, decides, commits and notifies, and returns the result of the decision. A commit that lost
/// the race for its rows is repeated from the start, up to 16 times.
///
/// # Errors
/// Errors of `find`, `decide` and the store, and [`Error::Unavailable`] if every attempt loses.
pub async fn execute<T, S, R, F>(
    target: &T,
    find: impl Fn() -> F,
    decide: impl Fn(S) -> Result<Decision<T::Commit, R>>,
) -> Result<R>
where
    T: CommitTarget,
    F: Future<Output = Result<S>>,
{
    for _ in 0..MAX_ATTEMPTS {
        match decide(find().await?)? {
            Decision::Keep(result) => return Ok(result),
            Decision::Write(commit, result) => {
                if commit_once(target, &commit).await? == Written::Done {
                    return Ok(result);
                }
            }
        }
    }
    Err(Error::unavailable("too many concurrent changes of the same rows"))
}

/// Commits and notifies, without a retry.
///
/// # Errors
/// Errors of the store.
pub async fn commit_once<T: CommitTarget>(target: &T, commit: &T::Commit) -> Result<Written> {
    let written = target.write(commit).await?;
    if written == Written::Done {
        target.notify(commit);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::{
        future::ready,
        pin::pin,
        sync::atomic::{AtomicU32, Ordering::SeqCst},
        task::{Context, Poll, Waker},
    };

    use super::*;

    /// A counter that other writers change before the first `races` writes.
    #[derive(Default)]
    struct Counter {
        races: u32,
        written: AtomicU32,
        notified: AtomicU32,
    }

    impl CommitTarget for Counter {
        type Commit = u32;

        async fn write(&self, attempt: &u32) -> Result<Written> {
            self.written.fetch_add(1, SeqCst);
            Ok(if *attempt < self.races { Written::Raced } else { Written::Done })
        }

        fn notify(&self, _: &u32) {
            self.notified.fetch_add(1, SeqCst);
        }
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("the future waits"),
        }
    }

    fn count_to_commit(target: &Counter) -> Result<u32> {
        let find = || ready(Ok(target.written.load(SeqCst)));
        now(execute(target, find, |attempt| Ok(Decision::Write(attempt, attempt))))
    }

    #[test]
    fn lost_race_is_decided_again_on_the_new_state() {
        let target = Counter { races: 3, ..Counter::default() };
        assert_eq!(count_to_commit(&target).unwrap(), 3);
        assert_eq!((target.written.into_inner(), target.notified.into_inner()), (4, 1));
    }

    #[test]
    fn race_without_end_is_unavailable_and_notifies_nobody() {
        let target = Counter { races: u32::MAX, ..Counter::default() };
        assert!(matches!(count_to_commit(&target), Err(Error::Unavailable { .. })));
        assert_eq!((target.written.into_inner(), target.notified.into_inner()), (MAX_ATTEMPTS, 0));
    }

    #[test]
    fn decision_without_a_change_writes_nothing() {
        let target = Counter::default();
        let kept = now(execute(&target, || ready(Ok(7)), |state| Ok(Decision::Keep(state))));
        assert_eq!(kept.unwrap(), 7);
        assert_eq!((target.written.into_inner(), target.notified.into_inner()), (0, 0));
    }
}
