//! Inserts, updates and deletes of sessions for callers.

use domain::{
    Cleanup, Event, ExpectedVersion, IdempotencyRecord, LinkAttempt, Scope, Session, SessionId,
    ports::{PortResult, SessionStore, Written},
};

use crate::{
    Database,
    batch::{group_commit::NewSession, mutation::Mutation},
    database::pools::Pools,
    rows::{
        cleanup::CleanupRow,
        event::EventRow,
        session::{MutableColumns, SessionRow},
    },
    scope::{ExpectedRowVersion, ScopedSessionId},
    tables::{
        commit::done_or_raced,
        organization_check::{CROSS_ORGANIZATION_WRITE, belongs_to_scope},
        session_transaction::{RowChange, SessionTransaction},
    },
};

impl Database {
    /// Inserts a session. The insert is batched if nothing else is written with it; otherwise, and
    /// when the batch did not insert the row, the insert runs in a transaction.
    pub(crate) async fn insert_with(
        &self,
        scope: &Scope,
        session: &Session,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
        attempt: Option<&LinkAttempt>,
    ) -> PortResult<Written> {
        let limits = self.limits(scope);
        let row = || SessionRow::new(session).map(Box::new);
        let its_own = events.iter().all(|event| event.session.as_ref() == Some(&session.id));
        if let (Pools::Postgres(pool), None, None, true) = (&self.pools, record, attempt, its_own) {
            let new = NewSession::new(*row()?, EventRow::all(events)?, &limits);
            if self.within_deadline(pool.group_commit.insert(new)).await? {
                return Ok(Written::Done);
            }
        }
        let record = record.map(|record| (record, session.created_at));
        let transaction = SessionTransaction::new(
            scope,
            limits,
            RowChange::Insert(row()?),
            events,
            record,
            attempt,
        )?;
        self.run_session_transaction(transaction).await
    }

    /// Updates a session. An update that may increase limited metadata runs in a transaction.
    pub(crate) async fn update_with(
        &self,
        scope: &Scope,
        session: &Session,
        expected: ExpectedVersion,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
        attempt: Option<&LinkAttempt>,
    ) -> PortResult<Written> {
        let in_scope = belongs_to_scope(scope, scope.organization(), events);
        let scoped_id = || ScopedSessionId::new(scope, &session.id);
        let (expected, state) = (ExpectedRowVersion::of(expected)?, MutableColumns::new(session)?);
        if !in_scope {
            return self.reject_cross_organization(scope, &session.id).await;
        }
        let limits = self.limits(scope);
        if record.is_none() && attempt.is_none() {
            let limited = limits.metadata.is_some() && state.metadata_bytes() > 0;
            let metadata = limited.then(|| state.metadata_length());
            let update = Mutation::Update(scoped_id(), expected, Box::new(state), metadata);
            if self.commit(update, EventRow::all(events)?).await? {
                return Ok(Written::Done);
            }
            if !limited {
                return Ok(Written::Raced);
            }
        }
        let row = RowChange::Update(scoped_id(), expected, Box::new(MutableColumns::new(session)?));
        let record = record.map(|record| (record, session.updated_at));
        self.run_session_transaction(SessionTransaction::new(
            scope, limits, row, events, record, attempt,
        )?)
        .await
    }

    /// Returns the result of a write for another organization: an error if the session exists in
    /// the scope, otherwise *raced*.
    pub(crate) async fn reject_cross_organization(
        &self,
        scope: &Scope,
        id: &SessionId,
    ) -> PortResult<Written> {
        match SessionStore::find(self, scope, id).await? {
            Some(_) => Err(CROSS_ORGANIZATION_WRITE.into()),
            None => Ok(Written::Raced),
        }
    }

    /// Deletes a session by the value of its version column, even if the rest of the row is
    /// unreadable.
    pub(crate) async fn delete_at_version(
        &self,
        scope: &Scope,
        version: i64,
        cleanup: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written> {
        let in_scope = belongs_to_scope(scope, &cleanup.organization, events);
        let scoped_id = ScopedSessionId::new(scope, &cleanup.session);
        let row = if cleanup.is_complete() { None } else { Some(CleanupRow::new(cleanup)?) };
        let events = EventRow::all(events)?;
        if !in_scope {
            return self.reject_cross_organization(scope, &cleanup.session).await;
        }
        let delete = Mutation::Delete(scoped_id, version, row.map(Box::new));
        self.commit(delete, events).await.map(done_or_raced)
    }
}
