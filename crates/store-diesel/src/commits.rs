//! Changes on PostgreSQL: those that are asked for while others are under way share a transaction, and
//! with it a commit.
//!
//! They are sent without waiting for the answers to those before, each as a statement of its own, and
//! everybody is answered when the commit is. When one of them is refused, or waits for a row that
//! somebody else has locked, the transaction is undone, and each is done by itself: no one's failure is
//! another's. Those of a transaction go in the order of their sessions, so that two transactions cannot
//! wait for each other.

use std::{sync::Arc, time::Duration};

use diesel::QueryResult;
use diesel_async::{
    AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _,
    pooled_connection::deadpool::Pool,
};
use futures_util::future::{BoxFuture, join, join_all, try_join_all};
use tokio::{sync::oneshot, time::timeout};

use crate::{StoreError, desk::Desk, pool::checkout, postgres::Health};

/// Transactions under way at once: while the disk is waited for, others are written.
const FLIGHTS: usize = 2;
/// Changes in one transaction at most.
const MOST: usize = 30;
/// How long a transaction waits for a row that another one has locked.
const LOCKED: &str = "SET LOCAL lock_timeout = 50";

/// Sends a statement and answers how many rows it gave back. It may be sent twice, for a transaction can
/// be undone.
pub(crate) type Statement =
    Box<dyn Fn(&AsyncPgConnection) -> BoxFuture<'_, QueryResult<usize>> + Send + Sync>;

/// Gathers changes.
pub(crate) struct Commits {
    lines: Lines,
    desk: Desk<Change>,
}

/// A change of one session, and who is to be told whether it was there to be changed.
struct Change {
    session: String,
    statement: Statement,
    tell: oneshot::Sender<Result<bool, StoreError>>,
}

/// The connections.
#[derive(Clone)]
struct Lines {
    connections: Pool<AsyncPgConnection>,
    health: Arc<Health>,
    patience: Duration,
}

impl Commits {
    /// Over these connections. One that stays silent for longer than `patience` is given up.
    pub(crate) fn new(
        connections: Pool<AsyncPgConnection>,
        health: Arc<Health>,
        patience: Duration,
    ) -> Self {
        Self { lines: Lines { connections, health, patience }, desk: Desk::new(FLIGHTS, MOST) }
    }

    /// Changes this session, together with what others change if there are any; says whether there was
    /// a row to change. Answers when that is on the disk.
    pub(crate) async fn change(
        &self,
        session: String,
        statement: impl Fn(&AsyncPgConnection) -> BoxFuture<'_, QueryResult<usize>>
        + Send
        + Sync
        + 'static,
    ) -> Result<bool, StoreError> {
        let statement = Box::new(statement);
        let (tell, told) = oneshot::channel();
        self.desk.leave(Change { session, statement, tell }, || {
            let lines = self.lines.clone();
            move |changes| lines.clone().carry_out(changes)
        });
        told.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the write died".into())))
    }
}

impl Lines {
    async fn carry_out(self, mut changes: Vec<Change>) {
        changes.sort_by(|a, b| a.session.cmp(&b.session));
        let done = match changes.len() {
            1 => None,
            _ => self.in_time(self.together(&changes)).await.transpose(),
        };
        match done {
            Some(Ok(counts)) => {
                for (change, count) in changes.into_iter().zip(counts) {
                    change.answer(Ok(count > 0));
                }
            }
            Some(Err(error)) => {
                let error = Arc::new(error);
                for change in changes {
                    change.answer(Err(error.shared()));
                }
            }
            None => drop(join_all(changes.into_iter().map(|change| self.alone(change))).await),
        }
    }

    /// Does all of these in one transaction; nothing where each is to be done by itself, for then none
    /// of them was.
    async fn together(&self, changes: &[Change]) -> Result<Option<Vec<usize>>, StoreError> {
        let mut object = checkout(&self.connections).await?;
        let mut refused = false;
        let work = async |conn: &mut AsyncPgConnection| {
            let (mut first, conn) = (&*conn, &*conn);
            let statements = try_join_all(changes.iter().map(|change| (change.statement)(conn)));
            let (limited, counts) = join(first.batch_execute(LOCKED), statements).await;
            let counts = limited.and(counts);
            refused = counts.is_err();
            counts.map_err(StoreError::from)
        };
        let result = AsyncPgConnection::transaction(&mut object, work).await;
        match self.health.judged(result, &mut object).await {
            (Err(_), true) if refused => Ok(None),
            (result, _) => result.map(Some),
        }
    }

    async fn alone(&self, change: Change) {
        let sent = async {
            let mut object = checkout(&self.connections).await?;
            let count = (change.statement)(&object).await;
            self.health.judged(count, &mut object).await.0
        };
        let result = self.in_time(sent).await;
        change.answer(result.map(|count| count > 0));
    }

    /// A server that stays silent must not keep its connections for good: the pool discards them when
    /// what used them is dropped unfinished.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let silent = || Err(StoreError::Unavailable("the database stayed silent".into()));
        timeout(self.patience, work).await.unwrap_or_else(|_| silent())
    }
}

impl Change {
    fn answer(self, result: Result<bool, StoreError>) {
        // Whoever no longer waits is not told.
        drop(self.tell.send(result));
    }
}
