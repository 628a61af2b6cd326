//! Several look-ups of callers as one condition, for PostgreSQL.

use diesel::{
    expression::{AppearsOnTable, Expression, ValidGrouping, is_aggregate},
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    result::QueryResult,
    sql_types::{Array, Bool, Text},
};

use super::Owned;
use crate::schema::sessions;

/// What several look-ups ask for. Each keeps its organization, its session and its reach together: a
/// session that one asks for is not found by the organization of another.
#[derive(Default)]
pub(crate) struct Several<'a> {
    organizations: Vec<&'a str>,
    ids: Vec<&'a str>,
    within: Vec<bool>,
}

impl<'a> FromIterator<&'a Owned> for Several<'a> {
    fn from_iter<T: IntoIterator<Item = &'a Owned>>(asked: T) -> Self {
        let mut several = Self::default();
        for one in asked {
            several.organizations.push(&one.organization);
            several.ids.push(&one.id);
            several.within.push(one.within);
        }
        several
    }
}

/// Whether a session is one of those that are asked for, as an expression.
pub(crate) struct OneOf<'a>(pub(super) &'a Several<'a>);

impl Expression for OneOf<'_> {
    type SqlType = Bool;
}

impl ValidGrouping<()> for OneOf<'_> {
    type IsAggregate = is_aggregate::No;
}

impl AppearsOnTable<sessions::table> for OneOf<'_> {}

impl QueryId for OneOf<'_> {
    type QueryId = OneOf<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for OneOf<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Several { organizations, ids, within } = self.0;
        out.push_sql(
            "(sessions.organization, sessions.id) IN (SELECT a.organization, a.id FROM unnest(",
        );
        out.push_bind_param::<Array<Text>, _>(organizations)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Bool>, _>(within)?;
        out.push_sql(") AS a (organization, id, within) WHERE a.within)");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use diesel::QueryDsl as _;
    use domain::{Caller, Capability, OrganizationId, Reach, Scope, SessionId};

    use super::*;
    use crate::{Database, pool::Pools, scope::several_sessions, test_place::Place};

    fn scope(organization: &str, reach: Reach) -> Scope {
        let organization = OrganizationId::parse(organization).expect("a name");
        let caller = Caller { reach, ..Caller::operator(organization) };
        caller.may(Capability::Manage).expect("may manage")
    }

    /// The ids of what PostgreSQL finds for these.
    async fn found(database: &Database, asked: &[Owned]) -> Vec<String> {
        let Pools::Postgres(pool) = &database.pools else { panic!("PostgreSQL is asked") };
        let asked = asked.iter().collect();
        let conn = pool.look.connection().await.expect("a connection");
        let query = several_sessions(&asked).select(sessions::id);
        let found = diesel_async::RunQueryDsl::load(query, &mut &*conn).await;
        let mut found: Vec<String> = found.expect("an answer");
        found.sort();
        found
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_finds_its_own_and_nobody_finds_what_another_asks_for() {
        let place = Place::postgres().await;
        let database = place.open().await;
        let [mine, theirs, hidden, missing] = [1, 2, 3, 4].map(SessionId::from_bits);
        for (id, organization) in [(&mine, "acme"), (&theirs, "zeta"), (&hidden, "acme")] {
            place.execute(&row(id, organization)).await;
        }
        let everything = || Reach::Everything;
        let ask = |organization, reach, id| Owned::session(&scope(organization, reach), id);
        let only_mine = || Reach::Only([mine.clone()].into());
        let asked = [
            ask("acme", everything(), &mine),
            ask("acme", everything(), &theirs),
            ask("acme", everything(), &missing),
            ask("acme", only_mine(), &hidden),
            ask("zeta", everything(), &mine),
        ];
        assert_eq!(found(&database, &asked).await, [mine.to_string()]);
        assert_eq!(found(&database, &asked[1..]).await, Vec::<String>::new());
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
