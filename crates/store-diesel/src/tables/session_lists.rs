//! Implements lists of sessions for callers and operators.

use async_trait::async_trait;
use diesel_async::RunQueryDsl;
use domain::{
    OrganizationId, Session,
    ports::{OperatorStore, PortResult, SessionPage},
};

use crate::{
    Database,
    database::statements::with_conn,
    rows::{readable::fill_page, session::SessionRow},
    scope::{
        KeysetPosition,
        session_lists::{SessionQuery, load_page},
    },
};

#[async_trait]
impl OperatorStore for Database {
    async fn sessions(
        &self,
        organization: Option<&OrganizationId>,
        page: &SessionPage,
    ) -> PortResult<Vec<Session>> {
        self.session_page(SessionQuery::for_operators(organization, page)).await
    }
}

impl Database {
    pub(crate) async fn session_page(&self, mut query: SessionQuery) -> PortResult<Vec<Session>> {
        self.run(|database| async move {
            let page = fill_page!(
                query.limit(),
                query.after(),
                |after, row_limit| {
                    query.set_window(after, row_limit);
                    let mut rows: Vec<SessionRow> =
                        with_conn!(database, read, |conn| load_page!(conn, &query))?;
                    // A query with several statuses returns one page per status.
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
