//! Commits concurrent changes of sessions on PostgreSQL in one statement.
//!
//! Callers are answered after the commit. When the server rejects the statement, or the statement
//! waits too long for a row lock, nothing was written and each change is executed alone, so that a
//! failure of one change is not a failure of another.
//!
//! Decision: ADR 0022.

use std::{collections::HashSet, mem, sync::Arc, time::Duration};

use diesel_async::{AsyncPgConnection, pooled_connection::deadpool::Pool};
use domain::{Resource, ResourceLimits};
use futures_util::{FutureExt as _, future::join_all};
use tokio::{sync::oneshot, time::timeout};
use tracing::Instrument as _;

use crate::{
    StoreError,
    batch::{
        batcher::Batcher,
        mutation::{Mutation, SessionCommit},
        session_writes::SessionWrites,
    },
    engine::{checkout::checkout, postgres::health::Health},
    rows::{
        event::EventRow,
        session::SessionRow,
        usage::{ResourceGrowth, ResourceNeed},
    },
};

/// Statements in flight. Measured: with more than one, batches get smaller and fewer changes are
/// committed.
const MAX_IN_FLIGHT: usize = 1;

/// Connections for batches: an overdue batch keeps its connection.
pub(crate) const BATCH_CONNECTIONS: u32 = 4;

/// Maximum number of changes in one statement.
const MAX_BATCH: usize = 64;

/// Batches changes of sessions.
pub(crate) struct GroupCommit {
    pools: WritePools,
    batcher: Batcher<WriteRequest>,
}

/// A write, and the channel for its answer: whether a row was written.
struct WriteRequest {
    write: SessionWrite,
    sender: oneshot::Sender<Result<bool, StoreError>>,
}

/// A write that a batch can contain.
enum SessionWrite {
    /// Inserts a session.
    New(Box<NewSession>),
    /// Changes or deletes a session.
    Commit(SessionCommit),
}

/// A new session whose organization has limits that the statement checks.
pub(crate) struct NewSession {
    row: SessionRow,
    events: Vec<EventRow>,
    needs: Vec<ResourceNeed>,
}

impl NewSession {
    pub(crate) fn new(row: SessionRow, events: Vec<EventRow>, limits: &ResourceLimits) -> Self {
        let mut growth = ResourceGrowth::default();
        growth.add(Resource::Sessions, 1);
        growth.add(Resource::Metadata, row.metadata_bytes());
        let needs = growth.needs(row.organization(), limits);
        Self { row, events, needs }
    }
}

impl SessionWrite {
    /// Returns the id of the session whose row the write changes.
    fn session(&self) -> &str {
        match self {
            Self::New(new) => new.row.id(),
            Self::Commit(commit) => commit.session(),
        }
    }
}

/// The connection pools for writes.
#[derive(Clone)]
pub(crate) struct WritePools {
    /// For a write on its own.
    pub(crate) single: Pool<AsyncPgConnection>,
    /// For batches.
    pub(crate) batched: Pool<AsyncPgConnection>,
    pub(crate) health: Arc<Health>,
    /// Maximum time for which a server may stay silent.
    pub(crate) silence_limit: Duration,
}

impl GroupCommit {
    pub(crate) fn new(pools: WritePools) -> Self {
        Self { pools, batcher: Batcher::new(MAX_IN_FLIGHT, MAX_BATCH) }
    }

    /// Commits a mutation, in a batch if possible. Returns after the commit whether a row was
    /// changed.
    pub(crate) async fn commit(&self, commit: SessionCommit) -> Result<bool, StoreError> {
        if !commit.is_batched() {
            let pools = self.pools.clone();
            let alone = async move { pools.write_alone(&commit).await };
            let task = tokio::spawn(alone.in_current_span());
            return task.await.unwrap_or_else(|panic| Err(StoreError::Died(panic)));
        }
        self.submit(SessionWrite::Commit(commit)).await
    }

    /// Inserts a session in a batch. Returns `false` without an insert when a quota has no room,
    /// when the organization has no usage row yet, or when the batch was rejected; the caller then
    /// inserts the session in a transaction of its own.
    pub(crate) async fn insert(&self, new: NewSession) -> Result<bool, StoreError> {
        self.submit(SessionWrite::New(Box::new(new))).await
    }

    async fn submit(&self, write: SessionWrite) -> Result<bool, StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.batcher.submit(WriteRequest { write, sender }, || {
            let pools = self.pools.clone();
            move |requests| pools.clone().execute(requests)
        });
        receiver.await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable("the write task ended without an answer".into()))
        })
    }
}

impl WritePools {
    async fn execute(self, mut requests: Vec<WriteRequest>) {
        // Ordered by session, so that two statements do not deadlock.
        requests.sort_by(|a, b| a.write.session().cmp(b.write.session()));
        while !requests.is_empty() {
            let (batch, later) = split_by_session(mem::take(&mut requests));
            self.execute_batch(batch).await;
            requests = later;
        }
    }

    async fn execute_batch(&self, requests: Vec<WriteRequest>) {
        let done = match requests.as_slice() {
            [WriteRequest { write: SessionWrite::Commit(_), .. }] => None,
            _ => self.within_deadline(self.write_batch(&requests)).await.transpose(),
        };
        match done {
            Some(Ok(changed)) => {
                for request in requests {
                    let changed_row = changed.contains(request.write.session());
                    request.respond(Ok(changed_row));
                }
            }
            Some(Err(error)) => {
                let error = Arc::new(error);
                for request in requests {
                    request.respond(Err(error.shared()));
                }
            }
            None => {
                let each = requests.into_iter().map(async |request| {
                    let result = match &request.write {
                        SessionWrite::New(_) => Ok(false),
                        SessionWrite::Commit(commit) => self.write_alone(commit).await,
                    };
                    request.respond(result);
                });
                join_all(each).await;
            }
        }
    }

    /// Executes the writes in one statement and returns the ids of the changed sessions; `None`
    /// when each must be executed alone, because none was written.
    async fn write_batch(
        &self,
        requests: &[WriteRequest],
    ) -> Result<Option<HashSet<String>>, StoreError> {
        let mut writes = SessionWrites::default();
        for WriteRequest { write, .. } in requests {
            let commit = match write {
                SessionWrite::Commit(commit) => commit,
                SessionWrite::New(new) => {
                    let NewSession { row, events, needs } = &**new;
                    writes.insert(row, needs);
                    writes.add_events(events);
                    continue;
                }
            };
            match &commit.mutation {
                Mutation::Update(scoped_id, expected, state, metadata) => {
                    writes.update(scoped_id, *expected, state, *metadata);
                }
                Mutation::Delete(scoped_id, version, cleanup) => {
                    writes.delete(scoped_id, *version, cleanup.as_deref());
                }
                Mutation::Postpone(..) | Mutation::Finish(_) => return Ok(None),
            }
            writes.add_events(&commit.events);
        }
        let mut object = checkout(&self.batched).await?;
        let changed = writes.execute(&object).await;
        match self.health.check_result(changed, &mut object).await {
            // The server's answer proves that nothing was written. After other errors the outcome
            // is unknown.
            (Err(error), true) if error.is_refusal() => Ok(None),
            (changed, _) => changed.map(|ids| Some(ids.into_iter().collect())),
        }
    }

    async fn write_alone(&self, commit: &SessionCommit) -> Result<bool, StoreError> {
        let sent = async {
            let mut object = checkout(&self.single).await?;
            let count = commit.execute(&object).await;
            self.health.check_result(count, &mut object).await.0
        };
        self.within_deadline(sent).await.map(|count| count > 0)
    }

    /// Bounds the wait for a silent server; the pool then discards the connection.
    // Not an async function, which would hold the work twice.
    fn within_deadline<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> impl Future<Output = Result<T, StoreError>> {
        let silent = || Err(StoreError::Unavailable("the database did not answer".into()));
        timeout(self.silence_limit, work).map(move |ended| ended.unwrap_or_else(|_| silent()))
    }
}

/// Splits off the writes that one statement can contain: one per session, because a statement does
/// not see its own changes.
fn split_by_session(requests: Vec<WriteRequest>) -> (Vec<WriteRequest>, Vec<WriteRequest>) {
    let (mut batch, mut later) = (Vec::<WriteRequest>::new(), Vec::new());
    for request in requests {
        let same = batch.last().is_some_and(|last| last.write.session() == request.write.session());
        if same { later.push(request) } else { batch.push(request) }
    }
    (batch, later)
}

impl WriteRequest {
    fn respond(self, result: Result<bool, StoreError>) {
        // The caller may have stopped waiting.
        drop(self.sender.send(result));
    }
}
