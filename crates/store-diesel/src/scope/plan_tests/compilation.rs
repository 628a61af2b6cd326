//! Test: PostgreSQL compiles no statement. A plan with a disabled node has a huge cost, for which
//! PostgreSQL would compile even the statement of a trigger at each execution.

use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::RunQueryDsl;

use crate::{Database, StoreError, database::statements::with_conn, test_database::TestDatabase};

#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    jit: String,
}

async fn settings(database: &Database) -> Result<[Setting; 3], StoreError> {
    let show = || sql_query("SHOW jit");
    let read = with_conn!(database, read, |conn| show().get_result(conn).await)?;
    let feed = with_conn!(database, feed, |conn| show().get_result(conn).await)?;
    let write = with_conn!(database, write, |conn| show().get_result(conn).await)?;
    Ok([read, feed, write])
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_compiles_no_statement() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    let database = test_db.open().await;
    let settings = settings(&database).await.expect("the settings");
    assert_eq!(settings.map(|setting| setting.jit), ["off", "off", "off"]);
}
