//! Commits of sessions for callers: in a batch if the database is PostgreSQL and no other row is
//! recorded or counted with the commit, otherwise in a transaction.

use domain::{
    Commit, OrganizationId, Scope, SessionWrite,
    ports::{CommitOutcome, PortResult, Written},
};

use crate::{
    Database, StoreError,
    batch::{
        group_commit::NewSession,
        mutation::{Mutation, SessionCommit},
    },
    database::pools::{Pools, PostgresPool},
    rows::{
        cleanup::CleanupRow,
        event::EventRow,
        session::{MutableColumns, SessionRow},
    },
    scope::{ExpectedRowVersion, ScopedSessionId},
    tables::transaction::{CallerRows, RowChange, Transaction, belongs_to_scope},
};

impl Database {
    /// Commits a write of a session.
    pub(crate) async fn commit_session(
        &self,
        scope: &Scope,
        commit: &Commit<SessionWrite>,
    ) -> PortResult<CommitOutcome> {
        if let Pools::Postgres(pool) = &self.pools
            && let Some(written) = self.commit_in_batch(pool, scope, commit).await?
        {
            return Ok(Ok(written));
        }
        self.run_transaction(self.session_transaction(scope, commit)?).await
    }

    /// Commits in a batch. Returns `None` without a write if the commit needs a transaction.
    async fn commit_in_batch(
        &self,
        pool: &PostgresPool,
        scope: &Scope,
        commit: &Commit<SessionWrite>,
    ) -> PortResult<Option<Written>> {
        let is_alone = commit.idempotency.is_none() && commit.change.attempt().is_none();
        if !is_alone
            || !belongs_to_scope(scope, organization_of(scope, &commit.change), &commit.events)
        {
            return Ok(None);
        }
        let (limits, events) = (self.limits(scope), EventRow::all(&commit.events)?);
        match row_change(scope, &commit.change)? {
            RowChange::InsertSession(row)
                if events.iter().all(|event| event.tells_of(row.id())) =>
            {
                let new = NewSession::new(*row, events, &limits);
                let inserted = self.within_deadline(pool.group_commit.insert(new)).await?;
                Ok(inserted.then_some(Written::Done))
            }
            RowChange::Mutate(mut mutation) => {
                let limited = mutation.limit_metadata(&limits);
                let commit = SessionCommit { mutation, events };
                let changed = self.within_deadline(pool.group_commit.commit(commit)).await?;
                // Limited metadata that grows needs a transaction.
                Ok((changed || !limited).then(|| done_or_raced(changed)))
            }
            _ => Ok(None),
        }
    }

    fn session_transaction(
        &self,
        scope: &Scope,
        commit: &Commit<SessionWrite>,
    ) -> Result<Transaction, StoreError> {
        let change = &commit.change;
        let now = match change {
            SessionWrite::Insert(session, _) => session.created_at,
            SessionWrite::Update(update, _) => update.session.updated_at,
            SessionWrite::Delete(cleanup, _) => cleanup.requested_at,
        };
        let rows = (organization_of(scope, change), &commit.events[..]);
        let record = (commit.idempotency.as_ref(), now);
        let caller = CallerRows::new(scope, self.limits(scope), rows, record, change.attempt())?;
        let events = EventRow::all(&commit.events)?;
        Ok(Transaction { change: row_change(scope, change)?, events, caller: Some(caller) })
    }
}

/// Returns the organization of the written row. An update does not write the organization.
fn organization_of<'a>(scope: &'a Scope, change: &'a SessionWrite) -> &'a OrganizationId {
    match change {
        SessionWrite::Insert(session, _) => &session.organization,
        SessionWrite::Update(..) => scope.organization(),
        SessionWrite::Delete(cleanup, _) => &cleanup.organization,
    }
}

fn row_change(scope: &Scope, change: &SessionWrite) -> Result<RowChange, StoreError> {
    Ok(match change {
        SessionWrite::Insert(session, _) => {
            RowChange::InsertSession(Box::new(SessionRow::new(session)?))
        }
        SessionWrite::Update(update, _) => RowChange::Mutate(Mutation::Update(
            ScopedSessionId::new(scope, &update.session.id),
            ExpectedRowVersion::of(update.expected)?,
            Box::new(MutableColumns::new(&update.session)?),
            None,
        )),
        SessionWrite::Delete(cleanup, version) => {
            let row = if cleanup.is_complete() { None } else { Some(CleanupRow::new(cleanup)?) };
            let scoped_id = ScopedSessionId::new(scope, &cleanup.session);
            RowChange::Mutate(Mutation::Delete(scoped_id, version.0, row.map(Box::new)))
        }
    })
}

pub(crate) fn done_or_raced(done: bool) -> Written {
    if done { Written::Done } else { Written::Raced }
}
