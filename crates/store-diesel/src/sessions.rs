//! Sessions as their owners see them: every statement here has the caller's scope in it.

use async_trait::async_trait;
use diesel::{OptionalExtension, dsl::max, prelude::*};
use diesel_async::RunQueryDsl;
use domain::{
    Cleanup, Event, ExpectedVersion, GatewayId, IdempotencyRecord, LinkAttempt, OrganizationId,
    PartialSession, Scope, Session, SessionId, Version,
    ports::{OperatorStore, PortResult, SessionPage, SessionStore, Written},
};

use crate::{
    Database, StoreError,
    change::Mutation,
    column::{from_bigint, to_bigint},
    commits::NewSession,
    events::EventRow,
    look::inline_lookup,
    pool::{Pools, with_conn},
    retirements::CleanupRow,
    rows::fill_page,
    schema::{events, sessions},
    scope::{
        self, ExpectedRowVersion, KeysetPosition, ScopedSessionId,
        lists::{SessionQuery, load_page},
    },
    session_row::{MutableColumns, SessionRow},
    whole::{RowChange, SessionTransaction},
};

#[async_trait]
impl SessionStore for Database {
    async fn insert(
        &self,
        scope: &Scope,
        session: &Session,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written> {
        if !belongs_to_scope(scope, &session.organization, events) {
            return Err(CROSS_ORGANIZATION_WRITE.into());
        }
        self.insert_with(scope, session, events, record, None).await
    }

    async fn find(&self, scope: &Scope, id: &SessionId) -> PortResult<Option<Session>> {
        let scoped_id = ScopedSessionId::session(scope, id);
        let pools = match &self.pools {
            Pools::Sqlite(pools) => pools,
            Pools::Postgres(pool) => {
                return pool
                    .batched_lookup
                    .session(scoped_id)
                    .await
                    .map_err(StoreError::as_port_error);
            }
        };
        let epoch = pools.read_cache.epoch();
        if let Some(Ok(session)) = epoch.as_ref().map(|epoch| epoch.session(&scoped_id)) {
            return Ok(session);
        }
        let row = inline_lookup!(pools.inline_reader, SessionRow, scope::session(&scoped_id))?;
        let session = row.map(Session::try_from).transpose()?;
        if let Some(epoch) = epoch {
            epoch.insert_session(scoped_id, session.as_ref());
        }
        Ok(session)
    }

    async fn list(&self, scope: &Scope, page: &SessionPage) -> PortResult<Vec<Session>> {
        self.page(SessionQuery::for_caller(scope, page)).await
    }

    async fn update(
        &self,
        scope: &Scope,
        session: &Session,
        expected: ExpectedVersion,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written> {
        self.update_with(scope, session, expected, events, record, None).await
    }

    async fn write_with_link_attempt(
        &self,
        scope: &Scope,
        session: &Session,
        expected: Option<ExpectedVersion>,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
        attempt: &LinkAttempt,
    ) -> PortResult<Written> {
        if let Some(expected) = expected {
            let attempt = Some(attempt);
            return self.update_with(scope, session, expected, events, record, attempt).await;
        }
        if !belongs_to_scope(scope, &session.organization, events) {
            return Err(CROSS_ORGANIZATION_WRITE.into());
        }
        self.insert_with(scope, session, events, record, Some(attempt)).await
    }

    async fn partial_session(
        &self,
        scope: &Scope,
        id: &SessionId,
    ) -> PortResult<Option<PartialSession>> {
        let (scoped_id, id) = (ScopedSessionId::session(scope, id), id.clone());
        self.run(|database| async move {
            let row: Option<(Option<String>, i64, Option<String>, i64, i64)> =
                with_conn!(database, read, |conn| {
                    scope::session(&scoped_id)
                        .select((
                            sessions::gateway,
                            sessions::epoch,
                            sessions::identity,
                            sessions::sequence,
                            sessions::version,
                        ))
                        .get_result(conn)
                        .await
                        .optional()
                })?;
            let Some((gateway, epoch, identity, sequence, mark)) = row else { return Ok(None) };
            let last_event: Option<i64> = with_conn!(database, read, |conn| {
                scope::events_of_session(&scoped_id)
                    .select(max(events::sequence))
                    .get_result(conn)
                    .await
            })?;
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
                stored_version: mark,
            }))
        })
        .await
    }

    async fn delete_partial(
        &self,
        scope: &Scope,
        mark: i64,
        cleanup: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written> {
        self.delete_at_version(scope, mark, cleanup, events).await
    }

    async fn delete(
        &self,
        scope: &Scope,
        expected: Version,
        cleanup: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written> {
        let expected = to_bigint("sessions.version", expected.0)?;
        self.delete_at_version(scope, expected, cleanup, events).await
    }
}

impl Database {
    /// Deletes a session whose version column holds this, whatever else its row holds.
    async fn delete_at_version(
        &self,
        scope: &Scope,
        version: i64,
        cleanup: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written> {
        let in_scope = belongs_to_scope(scope, &cleanup.organization, events);
        let scoped_id = ScopedSessionId::session(scope, &cleanup.session);
        let row = if cleanup.is_complete() { None } else { Some(CleanupRow::new(cleanup)?) };
        let events = EventRow::all(events)?;
        if !in_scope {
            return self.reject_cross_organization(scope, &cleanup.session).await;
        }
        let delete = Mutation::Delete(scoped_id, version, row.map(Box::new));
        self.commit(delete, events).await.map(done_or_raced)
    }
}

#[async_trait]
impl OperatorStore for Database {
    async fn sessions(
        &self,
        organization: Option<&OrganizationId>,
        page: &SessionPage,
    ) -> PortResult<Vec<Session>> {
        self.page(SessionQuery::for_operators(organization, page)).await
    }
}

impl Database {
    /// Together with others where nothing else goes with it and there is known to be room; else by itself.
    async fn insert_with(
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

    /// The same for a session that is there. One whose metadata grows is written by itself.
    async fn update_with(
        &self,
        scope: &Scope,
        session: &Session,
        expected: ExpectedVersion,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
        attempt: Option<&LinkAttempt>,
    ) -> PortResult<Written> {
        let in_scope = belongs_to_scope(scope, scope.organization(), events);
        let scoped_id = || ScopedSessionId::session(scope, &session.id);
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

    /// What becomes of a change that is not the scope's own: it is wrong where there is something to
    /// change.
    async fn reject_cross_organization(
        &self,
        scope: &Scope,
        id: &SessionId,
    ) -> PortResult<Written> {
        match SessionStore::find(self, scope, id).await? {
            Some(_) => Err(CROSS_ORGANIZATION_WRITE.into()),
            None => Ok(Written::Raced),
        }
    }

    async fn page(&self, mut query: SessionQuery) -> PortResult<Vec<Session>> {
        self.run(|database| async move {
            let page = fill_page!(
                query.limit(),
                query.after(),
                |after, row_limit| {
                    query.set_window(after, row_limit);
                    let mut rows: Vec<SessionRow> =
                        with_conn!(database, read, |conn| load_page!(conn, &query))?;
                    // Of several statuses each has a page.
                    rows.sort_by(|a, b| b.position().cmp(&a.position()));
                    rows.truncate(usize::try_from(row_limit).unwrap_or(usize::MAX));
                    rows
                },
                |row: &SessionRow| KeysetPosition::at(row.position().0, row.position().1)
            );
            Ok(page)
        })
        .await
    }
}

pub(crate) fn done_or_raced(done: bool) -> Written {
    if done { Written::Done } else { Written::Raced }
}

/// What is written must belong to the scope's organization: an insert has no `WHERE` that says so.
pub(crate) fn belongs_to_scope(
    scope: &Scope,
    organization: &OrganizationId,
    events: &[Event],
) -> bool {
    let in_scope = scope.organization();
    organization == in_scope && events.iter().all(|event| event.organization == *in_scope)
}

/// Something of another organization than the scope's.
pub(crate) const CROSS_ORGANIZATION_WRITE: StoreError =
    StoreError::Unfit { column: "organization" };
