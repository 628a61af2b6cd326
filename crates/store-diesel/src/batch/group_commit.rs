//! Changes of sessions on PostgreSQL: those that are asked for while others are under way are written
//! together, by one statement, and share its commit.
//!
//! Everybody is answered when that is on the disk. When the server refuses the statement, or it waits for
//! a row that somebody else has locked, nothing of it was written, and each is done by itself: no one's
//! failure is another's.
//!
//! Decision: ADR 0022.

use std::{collections::HashSet, mem, sync::Arc, time::Duration};

use diesel_async::{AsyncPgConnection, pooled_connection::deadpool::Pool};
use domain::{Resource, ResourceLimits};
use futures_util::future::join_all;
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

/// Statements under way at once. With more, each had fewer changes, and fewer were committed.
const MAX_IN_FLIGHT: usize = 1;

/// Connections for them: one that is overdue keeps its own.
pub(crate) const BATCH_CONNECTIONS: u32 = 4;

/// Changes in one statement at most.
const MAX_BATCH: usize = 64;

/// Gathers changes.
pub(crate) struct GroupCommit {
    pools: WritePools,
    batcher: Batcher<WriteRequest>,
}

/// A change, and who is to be told whether it was made.
struct WriteRequest {
    write: SessionWrite,
    sender: oneshot::Sender<Result<bool, StoreError>>,
}

/// What is asked for.
enum SessionWrite {
    /// A session that is to be.
    New(Box<NewSession>),
    /// A change of one that may be there.
    Commit(SessionCommit),
}

/// A session that is to be where there is known to be room.
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
    /// The session whose row it changes.
    fn session(&self) -> &str {
        match self {
            Self::New(new) => new.row.id(),
            Self::Commit(commit) => commit.session(),
        }
    }
}

/// The connections.
#[derive(Clone)]
pub(crate) struct WritePools {
    /// For a change by itself.
    pub(crate) single: Pool<AsyncPgConnection>,
    /// For several together.
    pub(crate) batched: Pool<AsyncPgConnection>,
    pub(crate) health: Arc<Health>,
    /// For how long a server may stay silent.
    pub(crate) silence_limit: Duration,
}

impl GroupCommit {
    pub(crate) fn new(pools: WritePools) -> Self {
        Self { pools, batcher: Batcher::new(MAX_IN_FLIGHT, MAX_BATCH) }
    }

    /// Changes a row, together with what others change if there are any; says whether there was one to
    /// change. Answers when that is on the disk.
    pub(crate) async fn commit(&self, commit: SessionCommit) -> Result<bool, StoreError> {
        if !commit.is_batched() {
            let pools = self.pools.clone();
            let alone = async move { pools.write_alone(&commit).await };
            let task = tokio::spawn(alone.in_current_span());
            return task.await.unwrap_or_else(|panic| Err(StoreError::Died(panic)));
        }
        self.submit(SessionWrite::Commit(commit)).await
    }

    /// Makes a session, together with what others change if there is anything. `false` when it was not made:
    /// there is no room, nobody knows whether there is, or it has to be made by itself.
    pub(crate) async fn insert(&self, new: NewSession) -> Result<bool, StoreError> {
        self.submit(SessionWrite::New(Box::new(new))).await
    }

    async fn submit(&self, write: SessionWrite) -> Result<bool, StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.batcher.submit(WriteRequest { write, sender }, || {
            let pools = self.pools.clone();
            move |requests| pools.clone().execute(requests)
        });
        receiver.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the write died".into())))
    }
}

impl WritePools {
    async fn execute(self, mut requests: Vec<WriteRequest>) {
        // In the order of their sessions, so that two statements do not wait for each other.
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

    /// Does all of these by one statement and answers whose sessions were there; nothing where each is to
    /// be done by itself, for then none of them was.
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
            // The server's own word that it was not done. Of anything else nobody can say so.
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

    /// A server that stays silent must not keep its connections for good; the pool discards them then.
    async fn within_deadline<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let silent = || Err(StoreError::Unavailable("the database stayed silent".into()));
        timeout(self.silence_limit, work).await.unwrap_or_else(|_| silent())
    }
}

/// Those that one statement can carry out, and the rest: of each session it has but one, for it would see
/// nothing of what it does itself.
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
        // Whoever no longer waits is not told.
        drop(self.sender.send(result));
    }
}
