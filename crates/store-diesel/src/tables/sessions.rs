//! Implements the session store for callers: every statement contains the caller's scope.
//!
//! Commits run in a batch if the database is PostgreSQL and no other row is recorded or counted with
//! the commit, otherwise in a transaction.

use async_trait::async_trait;
use diesel::{OptionalExtension, prelude::*};
use diesel_async::RunQueryDsl;
use domain::{
    Commit, GatewayId, OrganizationId, PartialSession, Scope, Session, SessionId, SessionWrite,
    ports::{CommitOutcome, PortResult, SessionPage, SessionStore, Written},
};

use crate::{
    Database, StoreError,
    batch::{
        group_commit::NewSession,
        mutation::{Mutation, SessionCommit},
    },
    database::{
        pools::{Pools, PostgresPool},
        statements::with_conn,
    },
    engine::sqlite::inline_reader::inline_lookup,
    rows::{
        cleanup::CleanupRow,
        column::from_bigint,
        event::EventRow,
        link_attempt::NewLinkAttempt,
        session::{MutableColumns, SessionRow},
    },
    schema::sessions,
    scope::{self, ExpectedRowVersion, ScopeParams, ScopedSessionId, session_lists::SessionQuery},
    tables::{
        idempotency_insert::NewIdempotencyRecord,
        session_figures::count_outcome,
        transaction::{CallerRows, RowChange, Transaction, belongs_to_scope},
    },
};

#[async_trait]
impl SessionStore for Database {
    async fn find(&self, scope: &Scope, id: &SessionId) -> PortResult<Option<Session>> {
        let scoped_id = ScopedSessionId::new(scope, id);
        match &self.pools {
            Pools::Sqlite(pools) => {
                let query = scope::session(&scoped_id);
                let row = inline_lookup!(pools.inline_reader, SessionRow, query)?;
                Ok(row.map(Session::try_from).transpose()?)
            }
            Pools::Postgres(pool) => {
                let found = pool.batched_lookup.session(scoped_id).await;
                found.map_err(StoreError::as_port_error)
            }
        }
    }

    async fn list(&self, scope: &Scope, page: &SessionPage) -> PortResult<Vec<Session>> {
        self.session_page(SessionQuery::for_caller(scope, page)).await
    }

    async fn commit(
        &self,
        scope: &Scope,
        commit: &Commit<SessionWrite>,
    ) -> PortResult<CommitOutcome> {
        let in_batch = match &self.pools {
            Pools::Postgres(pool) => self.commit_in_batch(pool, scope, commit).await?,
            Pools::Sqlite(_) => None,
        };
        let outcome = match in_batch {
            Some(written) => Ok(written),
            None => self.run_transaction(self.session_transaction(scope, commit)?).await?,
        };
        count_outcome(&outcome, &commit.events);
        Ok(outcome)
    }

    async fn partial_session(
        &self,
        scope: &Scope,
        id: &SessionId,
    ) -> PortResult<Option<PartialSession>> {
        let (scoped_id, id) = (ScopedSessionId::new(scope, id), id.clone());
        self.run(|database| async move {
            let row: Option<(Option<String>, i64, Option<String>, i64, i64, Option<i64>)> =
                with_conn!(database, read, |conn| {
                    scope::session(&scoped_id)
                        .select((
                            sessions::gateway,
                            sessions::epoch,
                            sessions::identity,
                            sessions::sequence,
                            sessions::version,
                            scope::last_event_sequence(),
                        ))
                        .get_result(conn)
                        .await
                        .optional()
                })?;
            let Some((gateway, epoch, identity, sequence, version, last_event)) = row else {
                return Ok(None);
            };
            let known = gateway.as_deref().and_then(GatewayId::parse);
            Ok(Some(PartialSession {
                id,
                is_on_unknown_node: gateway.is_some() && known.is_none(),
                gateway: known,
                epoch: from_bigint(epoch),
                linked: identity.is_some(),
                sequence: last_event
                    .into_iter()
                    .chain([sequence])
                    .filter_map(from_bigint)
                    .max()
                    .unwrap_or(0),
                stored_version: version,
            }))
        })
        .await
    }
}

impl Database {
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
        let attempt = change.attempt().map(|attempt| NewLinkAttempt::new(scope, attempt));
        let caller = CallerRows {
            params: ScopeParams::of(scope),
            limits: self.limits(scope),
            is_own: belongs_to_scope(scope, organization_of(scope, change), &commit.events),
            record: NewIdempotencyRecord::of(scope, commit.idempotency.as_ref(), now),
            attempt: attempt.transpose()?,
        };
        let (change, events) = (row_change(scope, change)?, EventRow::all(&commit.events)?);
        Ok(Transaction { change, events, caller: Some(caller) })
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
