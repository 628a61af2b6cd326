//! Pages of sessions for callers and operators: each statement contains only the requested
//! conditions.
//!
//! A disabled condition (`? OR label = ?`) keeps both engines from using an index. So the statement
//! is assembled from the requested filters. For each filter an index in the order of the list
//! exists, from which a page is read without a sort and without rows that do not match.
//!
//! Decision: ADR 0017.

use diesel::{
    dsl::{AsSelect, IntoBoxed, Select, sql},
    pg::Pg,
    prelude::*,
    sql_types::Bool,
    sqlite::Sqlite,
};
use diesel_async::AsyncPgConnection;
use domain::{OrganizationId, Scope, Status, ports::SessionPage};

use crate::{
    engine::sqlite::connect::SqliteConnection,
    rows::session::SessionRow,
    schema::sessions,
    scope::{KeysetPosition, ScopeParams, keyset::CreatedAtUnindexed},
};

/// The filters, the position and the size of a page, as parameters of a statement.
pub(crate) struct SessionQuery {
    query_scope: QueryScope,
    /// The requested statuses; empty for any status.
    statuses: Vec<&'static str>,
    label: Option<String>,
    gateway: Option<String>,
    phone: Option<String>,
    /// The page starts after this position.
    after: KeysetPosition,
    limit: i64,
}

/// Maximum number of requested statuses; all statuses are no filter.
pub(crate) const MAX_STATUSES: usize = Status::ALL.len() - 1;

/// The organizations of a query.
enum QueryScope {
    /// The scope of a caller.
    Caller(ScopeParams),
    /// One organization, for operators.
    Organization(String),
    /// All organizations, for operators.
    AllOrganizations,
}

impl SessionQuery {
    pub(crate) fn for_caller(scope: &Scope, page: &SessionPage) -> Self {
        Self::new(QueryScope::Caller(ScopeParams::of(scope)), page)
    }

    pub(crate) fn for_operators(organization: Option<&OrganizationId>, page: &SessionPage) -> Self {
        let query_scope =
            organization.map(|organization| QueryScope::Organization(organization.to_string()));
        Self::new(query_scope.unwrap_or(QueryScope::AllOrganizations), page)
    }

    fn new(query_scope: QueryScope, page: &SessionPage) -> Self {
        let filter = &page.filter;
        let is_requested = |status: &Status| filter.statuses.contains(status);
        let mut statuses: Vec<_> = Status::ALL.into_iter().filter(is_requested).collect();
        if statuses.len() > MAX_STATUSES {
            statuses.clear();
        }
        Self {
            query_scope,
            statuses: statuses.into_iter().map(Status::as_str).collect(),
            label: filter.label.clone(),
            gateway: filter.gateway.as_ref().map(ToString::to_string),
            phone: filter.phone.clone(),
            after: KeysetPosition::of(page.after.as_ref()),
            limit: i64::from(page.limit),
        }
    }

    /// Returns the maximum number of rows.
    pub(crate) fn limit(&self) -> u32 {
        u32::try_from(self.limit).unwrap_or(u32::MAX)
    }

    /// Sets the position and the number of rows of the next statement.
    pub(crate) fn set_window(&mut self, after: KeysetPosition, limit: i64) {
        (self.after, self.limit) = (after, limit);
    }

    /// Returns the position after which the page starts.
    pub(crate) fn after(&self) -> KeysetPosition {
        self.after.clone()
    }

    /// Returns the first requested status.
    pub(crate) fn status(&self) -> Option<&str> {
        self.statuses.first().copied()
    }

    /// Whether the query needs one page per status.
    pub(crate) fn has_multiple_statuses(&self) -> bool {
        self.statuses.len() > 1
    }

    /// Returns a requested status by number; beyond the last, a text that no row has.
    pub(crate) fn status_at(&self, number: usize) -> &str {
        self.statuses.get(number).copied().unwrap_or_default()
    }

    /// Whether an index for the filters exists. No index filters over all organizations.
    fn is_filtered(&self) -> bool {
        let named = [&self.label, &self.gateway, &self.phone];
        let any = !self.statuses.is_empty() || named.iter().any(|it| it.is_some());
        any && !matches!(self.query_scope, QueryScope::AllOrganizations)
    }
}

/// A connection for which the statement of a page can be assembled.
pub(crate) trait SessionPages {
    /// Returns the statement for a page of the sessions with this status, newest first.
    fn session_page<'a>(
        &self,
        query: &'a SessionQuery,
        status: Option<&'a str>,
    ) -> Self::PageStatement<'a>;

    /// The statement of one page.
    type PageStatement<'a>;
}

/// True for every session, even for a corrupt row. The condition of PostgreSQL's indexes for the
/// lists of an organization: a statement without the condition, such as a lookup by id, cannot use
/// them.
const ORGANIZATION_LIST: &str = "sequence > -9223372036854775807";

/// The condition of the index for the list over all organizations. No statement for callers
/// contains the condition.
const ALL_ORGANIZATIONS_LIST: &str = "epoch >= 0";

/// Implements the statement once for each engine.
macro_rules! lists {
    ($($connection:ty, $database:ty);+) => {
        $(impl SessionPages for $connection {
            type PageStatement<'a> =
                IntoBoxed<'a, Select<sessions::table, AsSelect<SessionRow, $database>>, $database>;

            fn session_page<'a>(
                &self,
                query: &'a SessionQuery,
                status: Option<&'a str>,
            ) -> Self::PageStatement<'a> {
                let page = sessions::table.select(SessionRow::as_select()).into_boxed();
                let mut page = match &query.query_scope {
                    QueryScope::Caller(scope) if scope.everything => page
                        .filter(sessions::organization.eq(scope.organization.as_str()))
                        .filter(sql::<Bool>(ORGANIZATION_LIST)),
                    // Finds the rows by id, whatever the size of the organization: as an
                    // expression, the organization cannot select the index of the list.
                    QueryScope::Caller(scope) => page
                        .filter(sessions::organization.concat("").eq(scope.organization.as_str()))
                        .filter(sessions::id.eq_any(scope.only.as_slice())),
                    QueryScope::Organization(organization) => page
                        .filter(sessions::organization.eq(organization.as_str()))
                        .filter(sql::<Bool>(ORGANIZATION_LIST)),
                    QueryScope::AllOrganizations => page.filter(sql::<Bool>(ALL_ORGANIZATIONS_LIST)),
                };
                if let Some(status) = status {
                    page = page.filter(sessions::status.eq(status));
                }
                if let Some(label) = &query.label {
                    page = page.filter(sessions::label.eq(label.as_str()));
                }
                if let Some(gateway) = &query.gateway {
                    page = page.filter(sessions::gateway.eq(gateway.as_str()));
                }
                if let Some(phone) = &query.phone {
                    page = page.filter(sessions::phone_number.eq(phone.as_str()));
                }
                let (id, created_at) = (sessions::id, sessions::created_at);
                let page = if query.is_filtered() {
                    page.filter(query.after.before(CreatedAtUnindexed, id)).order((CreatedAtUnindexed.desc(), id.desc()))
                } else {
                    page.filter(query.after.before(created_at, id)).order((created_at.desc(), id.desc()))
                };
                page.limit(query.limit)
            }
        })+
    };
}

lists!(AsyncPgConnection, Pg; SqliteConnection, Sqlite);

/// Combines one page per status in one statement, so that a session whose status changes meanwhile
/// is in one of the pages. The caller merges the pages.
macro_rules! pages_by_status {
    ($conn:expr, $query:expr) => {{
        use diesel::CombineDsl;
        const { assert!($crate::scope::session_lists::MAX_STATUSES == 4, "as many as there are pages") };
        let [first, second, third, last] = std::array::from_fn(|number| {
            let status = $query.status_at(number);
            $crate::scope::session_lists::SessionPages::session_page($conn, $query, Some(status))
        });
        first.union_all(second).union_all(third).union_all(last)
    }};
}

/// Loads the page of a query on any connection.
macro_rules! load_page {
    ($conn:expr, $query:expr) => {
        if $query.has_multiple_statuses() {
            $crate::scope::session_lists::pages_by_status!(&*$conn, $query).load($conn).await
        } else {
            let status = $query.status();
            $crate::scope::session_lists::SessionPages::session_page(&*$conn, $query, status)
                .load($conn)
                .await
        }
    };
}

pub(crate) use {load_page, pages_by_status};
