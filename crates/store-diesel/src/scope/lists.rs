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

use super::{Owner, Place, place::Moment};
use crate::{schema::sessions, session_row::SessionRow, sqlite::SqliteConnection};

/// Which page of which sessions, as parameters of a statement.
pub(crate) struct Looked {
    whose: Whose,
    /// Any of these; none when it does not matter.
    statuses: Vec<&'static str>,
    label: Option<String>,
    gateway: Option<String>,
    phone: Option<String>,
    /// Strictly after this place.
    after: Place,
    limit: i64,
}

/// How many statuses can be looked for and still leave one out.
pub(crate) const MOST: usize = Status::ALL.len() - 1;

/// Whose sessions.
enum Whose {
    /// What a caller's scope holds.
    Caller(Owner),
    /// An organization's, as operators ask.
    Organization(String),
    /// All there are, as operators ask.
    Everybody,
}

impl Looked {
    pub(crate) fn for_caller(scope: &Scope, page: &SessionPage) -> Self {
        Self::new(Whose::Caller(Owner::of(scope)), page)
    }

    pub(crate) fn for_operators(whose: Option<&OrganizationId>, page: &SessionPage) -> Self {
        let whose = whose.map(|organization| Whose::Organization(organization.to_string()));
        Self::new(whose.unwrap_or(Whose::Everybody), page)
    }

    fn new(whose: Whose, page: &SessionPage) -> Self {
        let filter = &page.filter;
        let wanted = |status: &Status| filter.statuses.contains(status);
        let mut statuses: Vec<_> = Status::ALL.into_iter().filter(wanted).collect();
        if statuses.len() > MOST {
            statuses.clear();
        }
        Self {
            whose,
            statuses: statuses.into_iter().map(Status::as_str).collect(),
            label: filter.label.clone(),
            gateway: filter.gateway.as_ref().map(ToString::to_string),
            phone: filter.phone.clone(),
            after: Place::of(page.after.as_ref()),
            limit: i64::from(page.limit),
        }
    }

    /// At most so many.
    pub(crate) fn limit(&self) -> u32 {
        u32::try_from(self.limit).unwrap_or(u32::MAX)
    }

    /// The same, after this place and up to so many.
    pub(crate) fn going_on(&mut self, after: Place, limit: i64) {
        (self.after, self.limit) = (after, limit);
    }

    /// After which place.
    pub(crate) fn after(&self) -> Place {
        self.after.clone()
    }

    /// The status there is, if there is one to look for.
    pub(crate) fn status(&self) -> Option<&str> {
        self.statuses.first().copied()
    }

    /// Whether each status is a page of its own.
    pub(crate) fn has_several(&self) -> bool {
        self.statuses.len() > 1
    }

    /// The status of this number; beyond the last, one that nothing has.
    pub(crate) fn status_number(&self, number: usize) -> &str {
        self.statuses.get(number).copied().unwrap_or_default()
    }

    /// Whether there is an index for what is looked for. There is none over all organizations.
    fn is_narrowed(&self) -> bool {
        let named = [&self.label, &self.gateway, &self.phone];
        let any = !self.statuses.is_empty() || named.iter().any(|it| it.is_some());
        any && !matches!(self.whose, Whose::Everybody)
    }
}

/// A connection to a database for which pages can be put together.
pub(crate) trait Lists {
    /// The page of those looked for that have this status, newest first.
    fn session_page<'a>(&self, looked: &'a Looked, status: Option<&'a str>) -> Self::Page<'a>;

    /// One page, as a statement.
    type Page<'a>;
}

/// True of every session, whatever is wrong with its row. PostgreSQL's indexes for an organization's
/// lists are on this condition: to a statement that does not state it, a look-up by name, they are
/// closed.
const A_LIST: &str = "sequence > -9223372036854775807";
/// The same of the index for everybody's list. No caller's statement states it.
const EVERYBODY_S_LIST: &str = "epoch >= 0";

/// The text is one; what it is compiled for is two.
macro_rules! lists {
    ($($connection:ty, $database:ty);+) => {
        $(impl Lists for $connection {
            type Page<'a> =
                IntoBoxed<'a, Select<sessions::table, AsSelect<SessionRow, $database>>, $database>;

            fn session_page<'a>(
                &self,
                looked: &'a Looked,
                status: Option<&'a str>,
            ) -> Self::Page<'a> {
                let page = sessions::table.select(SessionRow::as_select()).into_boxed();
                let mut page = match &looked.whose {
                    Whose::Caller(owner) if owner.everything => page
                        .filter(sessions::organization.eq(owner.organization.as_str()))
                        .filter(sql::<Bool>(A_LIST)),
                    // By these names, whatever the organization's size is: as an expression the
                    // organization is no reason to go through all it has in the order of the list.
                    Whose::Caller(owner) => page
                        .filter(sessions::organization.concat("").eq(owner.organization.as_str()))
                        .filter(sessions::id.eq_any(owner.only.as_slice())),
                    Whose::Organization(organization) => page
                        .filter(sessions::organization.eq(organization.as_str()))
                        .filter(sql::<Bool>(A_LIST)),
                    Whose::Everybody => page.filter(sql::<Bool>(EVERYBODY_S_LIST)),
                };
                if let Some(status) = status {
                    page = page.filter(sessions::status.eq(status));
                }
                if let Some(label) = &looked.label {
                    page = page.filter(sessions::label.eq(label.as_str()));
                }
                if let Some(gateway) = &looked.gateway {
                    page = page.filter(sessions::gateway.eq(gateway.as_str()));
                }
                if let Some(phone) = &looked.phone {
                    page = page.filter(sessions::phone_number.eq(phone.as_str()));
                }
                let (id, made) = (sessions::id, sessions::created_at);
                let page = if looked.is_narrowed() {
                    page.filter(looked.after.precedes(Moment, id)).order((Moment.desc(), id.desc()))
                } else {
                    page.filter(looked.after.precedes(made, id)).order((made.desc(), id.desc()))
                };
                page.limit(looked.limit)
            }
        })+
    };
}

lists!(AsyncPgConnection, Pg; SqliteConnection, Sqlite);

/// The pages of several statuses, each read in its own order, by one statement: a session whose status
/// changes meanwhile is still in one of them. The caller puts them in order.
macro_rules! pages_of_several {
    ($conn:expr, $looked:expr) => {{
        use diesel::CombineDsl;
        const { assert!($crate::scope::lists::MOST == 4, "as many as there are pages") };
        let [first, second, third, last] = std::array::from_fn(|number| {
            let status = $looked.status_number(number);
            $crate::scope::lists::Lists::session_page($conn, $looked, Some(status))
        });
        first.union_all(second).union_all(third).union_all(last)
    }};
}

/// Loads what is looked for from wherever a connection leads to.
macro_rules! load_page {
    ($conn:expr, $looked:expr) => {
        if $looked.has_several() {
            $crate::scope::lists::pages_of_several!(&*$conn, $looked).load($conn).await
        } else {
            let status = $looked.status();
            $crate::scope::lists::Lists::session_page(&*$conn, $looked, status).load($conn).await
        }
    };
}

pub(crate) use {load_page, pages_of_several};
