//! The condition of several session lookups in one statement, for PostgreSQL.

use diesel::{
    expression::{AppearsOnTable, Expression, ValidGrouping, is_aggregate},
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    result::QueryResult,
    sql_types::{Array, Bool, Text},
};

use crate::{schema::sessions, scope::ScopedSessionId};

/// The parameters of several lookups. Organization, session and reach of one lookup stay together,
/// so that a lookup never finds a session through the organization of another lookup.
#[derive(Default)]
pub(crate) struct SessionKeys<'a> {
    organizations: Vec<&'a str>,
    ids: Vec<&'a str>,
    in_reach: Vec<bool>,
}

impl<'a> FromIterator<&'a ScopedSessionId> for SessionKeys<'a> {
    fn from_iter<T: IntoIterator<Item = &'a ScopedSessionId>>(lookups: T) -> Self {
        let mut several = Self::default();
        for one in lookups {
            several.organizations.push(&one.organization);
            several.ids.push(&one.id);
            several.in_reach.push(one.in_reach);
        }
        several
    }
}

/// The expression that is true for the sessions of the lookups.
pub(crate) struct InSessionKeys<'a>(pub(super) &'a SessionKeys<'a>);

impl Expression for InSessionKeys<'_> {
    type SqlType = Bool;
}

impl ValidGrouping<()> for InSessionKeys<'_> {
    type IsAggregate = is_aggregate::No;
}

impl AppearsOnTable<sessions::table> for InSessionKeys<'_> {}

impl QueryId for InSessionKeys<'_> {
    type QueryId = InSessionKeys<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for InSessionKeys<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let SessionKeys { organizations, ids, in_reach } = self.0;
        out.push_sql(
            "(sessions.organization, sessions.id) IN (SELECT a.organization, a.id FROM unnest(",
        );
        out.push_bind_param::<Array<Text>, _>(organizations)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Bool>, _>(in_reach)?;
        out.push_sql(") AS a (organization, id, within) WHERE a.within)");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use diesel::QueryDsl as _;

    use domain::{Caller, Capability, OrganizationId, Reach, Scope, SessionId};

    use super::*;
    use crate::{
        Database, database::pools::Pools, scope::sessions_by_keys, test_place::TestDatabase,
    };

    fn scope(organization: &str, reach: Reach) -> Scope {
        let organization = OrganizationId::parse(organization).expect("a name");
        let caller = Caller { reach, ..Caller::operator(organization) };
        caller.may(Capability::Manage).expect("may manage")
    }

    /// Returns the ids that PostgreSQL finds for the lookups.
    async fn found(database: &Database, lookups: &[ScopedSessionId]) -> Vec<String> {
        let Pools::Postgres(pool) = &database.pools else { panic!("PostgreSQL is asked") };
        let lookups = lookups.iter().collect();
        let conn = pool.lookups.connection().await.expect("a connection");
        let query = sessions_by_keys(&lookups).select(sessions::id);
        let found = diesel_async::RunQueryDsl::load(query, &mut &*conn).await;
        let mut found: Vec<String> = found.expect("an answer");
        found.sort();
        found
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn batched_lookup_finds_each_row_only_in_its_own_scope() {
        let test_db = TestDatabase::postgres().await;
        let database = test_db.open().await;
        let [mine, theirs, hidden, missing] = [1, 2, 3, 4].map(SessionId::from_bits);
        for (id, organization) in [(&mine, "acme"), (&theirs, "zeta"), (&hidden, "acme")] {
            test_db.execute(&row(id, organization)).await;
        }
        let everything = || Reach::Everything;
        let ask = |organization, reach, id| ScopedSessionId::new(&scope(organization, reach), id);
        let only_mine = || Reach::Only([mine.clone()].into());
        let lookups = [
            ask("acme", everything(), &mine),
            ask("acme", everything(), &theirs),
            ask("acme", everything(), &missing),
            ask("acme", only_mine(), &hidden),
            ask("zeta", everything(), &mine),
        ];
        assert_eq!(found(&database, &lookups).await, [mine.to_string()]);
        assert_eq!(found(&database, &lookups[1..]).await, Vec::<String>::new());
        let both = [ask("zeta", everything(), &theirs), ask("acme", only_mine(), &mine)];
        assert_eq!(found(&database, &both).await, [mine.to_string(), theirs.to_string()]);
        let twice = [ask("acme", everything(), &mine), ask("acme", everything(), &mine)];
        assert_eq!(found(&database, &twice).await, [mine.to_string()]);
        assert_eq!(found(&database, &[]).await, Vec::<String>::new());
    }

    fn row(id: &SessionId, organization: &str) -> String {
        format!(
            "INSERT INTO sessions (id, organization, auto_read, presence_typing, metadata,
                is_admin_session, desired, epoch, wanted, status, heard, created_at, updated_at,
                version, sequence, failures)
            VALUES ('{id}', '{organization}', false, false, '{{}}', false, 'stopped', 0, '{{}}',
                'stopped', '{{}}', 1, 1, 1, 1, 0)"
        )
    }
}
