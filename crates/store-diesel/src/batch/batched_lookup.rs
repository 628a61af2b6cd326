//! Look-ups of sessions on PostgreSQL: those that are asked for while others are under way are asked
//! together, in one statement.
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

/// Statements under way at once: one that is being answered and one that is on its way.
const MAX_IN_FLIGHT: usize = 2;

/// Look-ups in one statement at most.
const MAX_BATCH: usize = 256;

/// What a look-up found. A failure is told to all who asked together.
type LookupResult = Result<Option<Session>, Arc<StoreError>>;

/// Gathers look-ups.
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

    /// The session, asked for together with others if there are any.
    pub(crate) async fn session(&self, scoped_id: ScopedSessionId) -> LookupResult {
        let (sender, receiver) = oneshot::channel();
        self.batcher.submit(PendingLookup { scoped_id, sender }, || {
            let pool = self.pool.clone();
            move |lookups| answer(pool.clone(), lookups)
        });
        match timeout(self.deadline, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => unavailable("the look-up died"),
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
    let several: SessionKeys<'_> = lookups.iter().map(|pipelined| &pipelined.scoped_id).collect();
    pipelined!(pool, |conn| {
        use diesel::{QueryDsl as _, SelectableHelper as _};
        let query = scope::sessions_by_keys(&several).select(SessionRow::as_select());
        diesel_async::RunQueryDsl::load::<SessionRow>(query, conn).await
    })
}

/// Tells everybody what was found for them and nothing else.
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
        // Whoever no longer waits is not told.
        drop(sender.send(answer));
    }
}
