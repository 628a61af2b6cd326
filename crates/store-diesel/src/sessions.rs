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
    change::Deed,
    column::{counted, counter},
    commits::NewSession,
    events::EventRow,
    look::look_up_here,
    pool::{Pools, with_conn},
    retirements::RetirementRow,
    rows::fill_page,
    schema::{events, sessions},
    scope::{
        self, Owned, Place, Standing,
        lists::{Looked, load_page},
    },
    session_row::{SessionRow, State},
    whole::{Row, Whole},
};

#[async_trait]
impl SessionStore for Database {
    async fn insert(
        &self,
        scope: &Scope,
        session: &Session,
        events: &[Event],
        receipt: Option<&IdempotencyRecord>,
    ) -> PortResult<Written> {
        if !is_home(scope, &session.organization, events) {
            return Err(STRAY.into());
        }
        self.insert_with(scope, session, events, receipt, None).await
    }

    async fn find(&self, scope: &Scope, id: &SessionId) -> PortResult<Option<Session>> {
        let owned = Owned::session(scope, id);
        let pools = match &self.pools {
            Pools::Sqlite(pools) => pools,
            Pools::Postgres(pool) => {
                return pool.gathered.session(owned).await.map_err(StoreError::told);
            }
        };
        let moment = pools.recent.moment();
        if let Some(Ok(session)) = moment.as_ref().map(|moment| moment.session(&owned)) {
            return Ok(session);
        }
        let row = look_up_here!(pools.look, SessionRow, scope::session(&owned))?;
        let session = row.map(Session::try_from).transpose()?;
        if let Some(moment) = moment {
            moment.found(owned, session.as_ref());
        }
        Ok(session)
    }

    async fn list(&self, scope: &Scope, page: &SessionPage) -> PortResult<Vec<Session>> {
        self.page(Looked::for_caller(scope, page)).await
    }

    async fn update(
        &self,
        scope: &Scope,
        session: &Session,
        expected: ExpectedVersion,
        events: &[Event],
        receipt: Option<&IdempotencyRecord>,
    ) -> PortResult<Written> {
        self.update_with(scope, session, expected, events, receipt, None).await
    }

    async fn write_with_link_attempt(
        &self,
        scope: &Scope,
        session: &Session,
        expected: Option<ExpectedVersion>,
        events: &[Event],
        receipt: Option<&IdempotencyRecord>,
        attempt: &LinkAttempt,
    ) -> PortResult<Written> {
        if let Some(expected) = expected {
            let attempt = Some(attempt);
            return self.update_with(scope, session, expected, events, receipt, attempt).await;
        }
        if !is_home(scope, &session.organization, events) {
            return Err(STRAY.into());
        }
        self.insert_with(scope, session, events, receipt, Some(attempt)).await
    }

    async fn partial_session(
        &self,
        scope: &Scope,
        id: &SessionId,
    ) -> PortResult<Option<PartialSession>> {
        let (owned, id) = (Owned::session(scope, id), id.clone());
        self.run(|database| async move {
            let row: Option<(Option<String>, i64, Option<String>, i64, i64)> =
                with_conn!(database, read, |conn| {
                    scope::session(&owned)
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
            let told: Option<i64> = with_conn!(database, read, |conn| {
                scope::events_of_session(&owned)
                    .select(max(events::sequence))
                    .get_result(conn)
                    .await
            })?;
            let known = gateway.as_deref().and_then(GatewayId::parse);
            Ok(Some(PartialSession {
                id,
                is_on_unknown_node: gateway.is_some() && known.is_none(),
                gateway: known,
                epoch: counter(epoch),
                linked: identity.is_some(),
                sequence: told.into_iter().chain([sequence]).filter_map(counter).max().unwrap_or(0),
                stored_version: mark,
            }))
        })
        .await
    }

    async fn delete_partial(
        &self,
        scope: &Scope,
        mark: i64,
        retirement: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written> {
        self.retire_at(scope, mark, retirement, events).await
    }

    async fn delete(
        &self,
        scope: &Scope,
        expected: Version,
        retirement: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written> {
        let expected = counted("sessions.version", expected.0)?;
        self.retire_at(scope, expected, retirement, events).await
    }
}

impl Database {
    /// Deletes a session whose version column holds this, whatever else its row holds.
    async fn retire_at(
        &self,
        scope: &Scope,
        version: i64,
        retirement: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written> {
        let home = is_home(scope, &retirement.organization, events);
        let owned = Owned::session(scope, &retirement.session);
        let rest =
            if retirement.is_complete() { None } else { Some(RetirementRow::new(retirement)?) };
        let events = EventRow::all(events)?;
        if !home {
            return self.stray(scope, &retirement.session).await;
        }
        let delete = Deed::Retire(owned, version, rest.map(Box::new));
        self.change(delete, events).await.map(done_or_raced)
    }
}

#[async_trait]
impl OperatorStore for Database {
    async fn sessions(
        &self,
        organization: Option<&OrganizationId>,
        page: &SessionPage,
    ) -> PortResult<Vec<Session>> {
        self.page(Looked::for_operators(organization, page)).await
    }
}

impl Database {
    /// Together with others where nothing else goes with it and there is known to be room; else by itself.
    async fn insert_with(
        &self,
        scope: &Scope,
        session: &Session,
        events: &[Event],
        receipt: Option<&IdempotencyRecord>,
        attempt: Option<&LinkAttempt>,
    ) -> PortResult<Written> {
        let limits = self.limits(scope);
        let row = || SessionRow::new(session).map(Box::new);
        let its_own = events.iter().all(|event| event.session.as_ref() == Some(&session.id));
        if let (Pools::Postgres(pool), None, None, true) = (&self.pools, receipt, attempt, its_own)
        {
            let new = NewSession::new(*row()?, EventRow::all(events)?, &limits);
            if self.in_time(pool.commits.insert(new)).await? {
                return Ok(Written::Done);
            }
        }
        let receipt = receipt.map(|receipt| (receipt, session.created_at));
        let whole = Whole::new(scope, limits, Row::New(row()?), events, receipt, attempt)?;
        self.write_whole(whole).await
    }

    /// The same for a session that is there. One whose metadata grows is written by itself.
    async fn update_with(
        &self,
        scope: &Scope,
        session: &Session,
        expected: ExpectedVersion,
        events: &[Event],
        receipt: Option<&IdempotencyRecord>,
        attempt: Option<&LinkAttempt>,
    ) -> PortResult<Written> {
        let home = is_home(scope, scope.organization(), events);
        let owned = || Owned::session(scope, &session.id);
        let (expected, state) = (Standing::of(expected)?, State::new(session)?);
        if !home {
            return self.stray(scope, &session.id).await;
        }
        let limits = self.limits(scope);
        if receipt.is_none() && attempt.is_none() {
            let limited = limits.metadata.is_some() && state.metadata_bytes() > 0;
            let metadata = limited.then(|| state.metadata_length());
            let update = Deed::Update(owned(), expected, Box::new(state), metadata);
            if self.change(update, EventRow::all(events)?).await? {
                return Ok(Written::Done);
            }
            if !limited {
                return Ok(Written::Raced);
            }
        }
        let row = Row::Next(owned(), expected, Box::new(State::new(session)?));
        let receipt = receipt.map(|receipt| (receipt, session.updated_at));
        self.write_whole(Whole::new(scope, limits, row, events, receipt, attempt)?).await
    }

    /// What becomes of a change that is not the scope's own: it is wrong where there is something to
    /// change.
    async fn stray(&self, scope: &Scope, id: &SessionId) -> PortResult<Written> {
        match SessionStore::find(self, scope, id).await? {
            Some(_) => Err(STRAY.into()),
            None => Ok(Written::Raced),
        }
    }

    async fn page(&self, mut looked: Looked) -> PortResult<Vec<Session>> {
        self.run(|database| async move {
            let page = fill_page!(
                looked.limit(),
                looked.after(),
                |after, many| {
                    looked.going_on(after, many);
                    let mut rows: Vec<SessionRow> =
                        with_conn!(database, read, |conn| load_page!(conn, &looked))?;
                    // Of several statuses each has a page.
                    rows.sort_by(|a, b| b.place().cmp(&a.place()));
                    rows.truncate(usize::try_from(many).unwrap_or(usize::MAX));
                    rows
                },
                |row: &SessionRow| Place::at(row.place().0, row.place().1)
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
pub(crate) fn is_home(scope: &Scope, organization: &OrganizationId, events: &[Event]) -> bool {
    let home = scope.organization();
    organization == home && events.iter().all(|event| event.organization == *home)
}

/// Something of another organization than the scope's.
pub(crate) const STRAY: StoreError = StoreError::Unfit { column: "organization" };
