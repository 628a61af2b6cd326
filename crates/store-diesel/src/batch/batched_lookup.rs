//! Batches concurrent lookups of sessions on PostgreSQL into one statement.
//!
//! Decision: ADR 0020.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::Session;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    StoreError,
    batch::batcher::Batcher,
    engine::postgres::pipelined_pool::{PipelinedPool, pipelined},
    rows::session::SessionRow,
    scope::{self, ScopedSessionId, session_keys::SessionKeys},
};

/// Statements in flight: one that is being answered, and one on its way to the server.
const MAX_IN_FLIGHT: usize = 2;

/// Maximum number of lookups in one statement.
const MAX_BATCH: usize = 256;

/// The result of a lookup. All lookups of a failed batch share its error.
type LookupResult = Result<Option<Session>, Arc<StoreError>>;

/// Batches lookups of sessions.
pub(crate) struct BatchedLookup {
    pool: Arc<PipelinedPool>,
    deadline: Duration,
    batcher: Batcher<PendingLookup>,
}

struct PendingLookup {
    scoped_id: ScopedSessionId,
    sender: oneshot::Sender<LookupResult>,
}

impl BatchedLookup {
    pub(crate) fn new(pool: Arc<PipelinedPool>, deadline: Duration) -> Self {
        Self { pool, deadline, batcher: Batcher::new(MAX_IN_FLIGHT, MAX_BATCH) }
    }

    /// Returns the session, from a batch that other lookups may share.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the batch does not answer by the deadline.
    pub(crate) async fn session(&self, scoped_id: ScopedSessionId) -> LookupResult {
        let (sender, receiver) = oneshot::channel();
        self.batcher.submit(PendingLookup { scoped_id, sender }, || {
            let pool = self.pool.clone();
            move |lookups| answer(pool.clone(), lookups)
        });
        match timeout(self.deadline, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => unavailable("the lookup task ended without an answer"),
            Err(_) => unavailable("the database did not answer in time"),
        }
    }
}

fn unavailable(why: &'static str) -> LookupResult {
    Err(Arc::new(StoreError::Unavailable(why.into())))
}

async fn answer(pool: Arc<PipelinedPool>, lookups: Vec<PendingLookup>) {
    let found = load(&pool, &lookups).await;
    send_results(lookups, found);
}

async fn load(
    pool: &PipelinedPool,
    lookups: &[PendingLookup],
) -> Result<Vec<SessionRow>, StoreError> {
    let several: SessionKeys<'_> = lookups.iter().map(|lookup| &lookup.scoped_id).collect();
    pipelined!(pool, |conn| {
        use diesel::{QueryDsl as _, SelectableHelper as _};
        let query = scope::sessions_by_keys(&several).select(SessionRow::as_select());
        diesel_async::RunQueryDsl::load::<SessionRow>(query, conn).await
    })
}

/// Sends each lookup the row that its own scope and id found.
fn send_results(lookups: Vec<PendingLookup>, found: Result<Vec<SessionRow>, StoreError>) {
    let found = found.map_err(Arc::new).map(|rows| {
        let known = |row: SessionRow| {
            let scoped_id = ScopedSessionId::of_row(row.organization(), row.id());
            (scoped_id, Session::try_from(row).map_err(Arc::new))
        };
        rows.into_iter().map(known).collect::<HashMap<_, _>>()
    });
    for PendingLookup { scoped_id, sender } in lookups {
        let answer = match &found {
            Ok(known) => known.get(&scoped_id).cloned().transpose(),
            Err(error) => Err(error.clone()),
        };
        // The caller may have stopped waiting.
        drop(sender.send(answer));
    }
}
