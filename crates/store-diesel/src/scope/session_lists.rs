//! Pages of sessions, for their owners and for operators: statements with the conditions that were asked for, and no others.
//!
//! A condition that is in a statement and switched off (`? OR label = ?`) keeps both databases from
//! narrowing by an index. So a statement is put together of what is looked for; for each of that there
//! is an index in the order of the list, from which a page is read without sorting, and without going
//! through what is not looked for.
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

/// Which page of which sessions, as parameters of a statement.
pub(crate) struct SessionQuery {
    query_scope: QueryScope,
    /// Any of these; none when it does not matter.
    statuses: Vec<&'static str>,
    label: Option<String>,
    gateway: Option<String>,
    phone: Option<String>,
    /// Strictly after this place.
    after: KeysetPosition,
    limit: i64,
}

/// How many statuses can be looked for and still leave one out.
pub(crate) const MAX_STATUSES: usize = Status::ALL.len() - 1;

/// Whose sessions.
enum QueryScope {
    /// What a caller's scope holds.
    Caller(ScopeParams),
    /// An organization's, as operators ask.
    Organization(String),
    /// All there are, as operators ask.
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

    /// At most so many.
    pub(crate) fn limit(&self) -> u32 {
        u32::try_from(self.limit).unwrap_or(u32::MAX)
    }

    /// The same, after this place and up to so many.
    pub(crate) fn set_window(&mut self, after: KeysetPosition, limit: i64) {
        (self.after, self.limit) = (after, limit);
    }

    /// After which place.
    pub(crate) fn after(&self) -> KeysetPosition {
        self.after.clone()
    }

    /// The status there is, if there is one to look for.
    pub(crate) fn status(&self) -> Option<&str> {
        self.statuses.first().copied()
    }

    /// Whether each status is a page of its own.
    pub(crate) fn has_multiple_statuses(&self) -> bool {
        self.statuses.len() > 1
    }

    /// The status of this number; beyond the last, one that nothing has.
    pub(crate) fn status_at(&self, number: usize) -> &str {
        self.statuses.get(number).copied().unwrap_or_default()
    }

    /// Whether there is an index for what is looked for. There is none over all organizations.
    fn is_filtered(&self) -> bool {
        let named = [&self.label, &self.gateway, &self.phone];
        let any = !self.statuses.is_empty() || named.iter().any(|it| it.is_some());
        any && !matches!(self.query_scope, QueryScope::AllOrganizations)
    }
}

/// A connection to a database for which pages can be put together.
pub(crate) trait SessionPages {
    /// The page of those looked for that have this status, newest first.
    fn session_page<'a>(
        &self,
        query: &'a SessionQuery,
        status: Option<&'a str>,
    ) -> Self::PageStatement<'a>;

    /// One page, as a statement.
    type PageStatement<'a>;
}

/// True of every session, whatever is wrong with its row. PostgreSQL's indexes for an organization's
/// lists are on this condition: to a statement that does not state it, a look-up by name, they are
/// closed.
const ORGANIZATION_LIST: &str = "sequence > -9223372036854775807";

/// The same of the index for everybody's list. No caller's statement states it.
const ALL_ORGANIZATIONS_LIST: &str = "epoch >= 0";

/// The text is one; what it is compiled for is two.
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
                    // By these names, whatever the organization's size is: as an expression the
                    // organization is no reason to go through all it has in the order of the list.
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

/// The pages of several statuses, each read in its own order, by one statement: a session whose status
/// changes meanwhile is still in one of them. The caller puts them in order.
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

/// Loads what is looked for from wherever a connection leads to.
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
