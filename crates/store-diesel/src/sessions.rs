//! Sessions as their owners see them: every statement here has the caller's scope in it.

use async_trait::async_trait;
use diesel_async::RunQueryDsl;
use domain::{
    Event, Guard, OrganizationId, Receipt, Retirement, Scope, Session, SessionId, Version,
    ports::{PortResult, Registry, SessionPage, SessionStore, Written},
};

use crate::{
    Database, StoreError,
    change::Deed,
    column::counted,
    events::{EventRow, write_events},
    look::look_up_here,
    pool::{Pools, with_conn, with_transaction},
    receipts::{NewReceipt, keep_receipt},
    retirements::RetirementRow,
    rows::fill_page,
    schema::sessions,
    scope::{
        self, Owned, Place, Standing,
        lists::{Looked, load_page},
    },
    session_row::{SessionRow, State},
};

#[async_trait]
impl SessionStore for Database {
    async fn insert(
        &self,
        scope: &Scope,
        session: &Session,
        events: &[Event],
        receipt: Option<&Receipt>,
    ) -> PortResult<Written> {
        if !is_home(scope, &session.organization, events) {
            return Err(STRAY.into());
        }
        let (row, events) = (SessionRow::new(session)?, EventRow::all(events)?);
        let receipt = receipt.map(|receipt| NewReceipt::new(scope, receipt, session.created_at));
        if receipt.is_none() {
            let insert = Deed::Insert(Box::new(row));
            return self.change(insert, events).await.map(|_| Written::Done);
        }
        self.run(|database| async move {
            with_transaction!(database, |conn| {
                if !keep_receipt!(conn, receipt) {
                    return Ok(Written::Repeated);
                }
                diesel::insert_into(sessions::table).values(&row).execute(conn).await?;
                write_events!(conn, events);
                Ok(Written::Done)
            })
        })
        .await
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
        expected: Guard,
        events: &[Event],
        receipt: Option<&Receipt>,
    ) -> PortResult<Written> {
        let home = is_home(scope, scope.organization(), events);
        let owned = Owned::session(scope, &session.id);
        let expected = Standing::of(expected)?;
        let (state, events) = (State::new(session)?, EventRow::all(events)?);
        let receipt = receipt.map(|receipt| NewReceipt::new(scope, receipt, session.updated_at));
        if !home {
            return self.stray(scope, &session.id).await;
        }
        if receipt.is_none() {
            let update = Deed::Update(owned, expected, Box::new(state));
            return self.change(update, events).await.map(done_or_raced);
        }
        self.run(|database| async move {
            let written = with_transaction!(database, |conn| {
                let row = scope::session_still(&owned, expected);
                if diesel::update(row).set(&state).execute(conn).await? == 0 {
                    return Ok(Written::Raced);
                }
                if !keep_receipt!(conn, receipt) {
                    return Err(StoreError::Repeated);
                }
                write_events!(conn, events);
                Ok(Written::Done)
            });
            match written {
                Err(StoreError::Repeated) => Ok(Written::Repeated),
                written => written,
            }
        })
        .await
    }

    async fn retire(
        &self,
        scope: &Scope,
        expected: Version,
        retirement: &Retirement,
        events: &[Event],
    ) -> PortResult<Written> {
        let home = is_home(scope, &retirement.organization, events);
        let owned = Owned::session(scope, &retirement.session);
        let expected = counted("sessions.version", expected.0)?;
        let rest = if retirement.is_over() { None } else { Some(RetirementRow::new(retirement)?) };
        let events = EventRow::all(events)?;
        if !home {
            return self.stray(scope, &retirement.session).await;
        }
        let retire = Deed::Retire(owned, expected, rest.map(Box::new));
        self.change(retire, events).await.map(done_or_raced)
    }
}

#[async_trait]
impl Registry for Database {
    async fn sessions(
        &self,
        organization: Option<&OrganizationId>,
        page: &SessionPage,
    ) -> PortResult<Vec<Session>> {
        self.page(Looked::for_operators(organization, page)).await
    }
}

impl Database {
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
