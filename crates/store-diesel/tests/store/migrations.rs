//! Tests: migrations run at start, also at concurrent starts, and can be reverted.

use std::path::Path;

use diesel::Connection;
use diesel_async::{AsyncConnection, AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use domain::{
    SessionId, Timestamp,
    ports::{ApiKeyStore, KeyDirectory, PresentedKey, SessionStore},
    testing::{insert_key, revoke_key},
};
use store_diesel::{Config, Database, StoreError};

use crate::{
    both_databases::{done, on_both},
    corruption::{KEYS, api_key},
    outage::scope,
    test_database::TestDatabase,
};

async fn concurrent_starts_succeed(test_db: TestDatabase) {
    let starts = (0..6).map(|_| {
        let config = Config::new(test_db.url());
        tokio::spawn(async move { Database::connect(&config).await })
    });
    for start in starts.collect::<Vec<_>>() {
        let store = start.await.expect("no panic").expect("it comes up");
        assert_eq!(
            SessionStore::find(&store, &scope(), &SessionId::from_bits(1)).await.expect("served"),
            None
        );
    }
}

async fn second_start_runs_no_migration(test_db: TestDatabase) {
    drop(test_db.open().await);
    let before = history(&test_db).await;
    drop(test_db.open().await);
    assert_eq!(history(&test_db).await, before);
    assert!(!before.is_empty());
}

async fn every_migration_can_be_reverted_and_repeated(test_db: TestDatabase) {
    drop(test_db.open().await);
    assert!(tables(&test_db).await.contains(&"sessions".to_owned()));
    revert_all(&test_db).await;
    assert_eq!(tables(&test_db).await, ["__diesel_schema_migrations"]);
    let store = test_db.open().await;
    assert_eq!(
        SessionStore::find(&store, &scope(), &SessionId::from_bits(1)).await.expect("served"),
        None
    );
}

async fn keys_survive_migrations_of_their_table(test_db: TestDatabase) {
    let store = test_db.open().await;
    let (now, later) = (Timestamp::from_millis(1_800_000_000_000), 1_800_000_000_001);
    let [plain, short] = [api_key(1, None), api_key(2, Some(Timestamp::from_millis(later)))];
    let [gone, expired] = [api_key(3, None), api_key(4, Some(now))];
    for key in [&plain, &short, &gone, &expired] {
        done(insert_key(&store, &scope(), key, &[], None).await);
    }
    done(revoke_key(&store, &scope(), &gone.id, now, &[]).await);
    let good = async |store: &Database| {
        let mut good = Vec::new();
        for key in [&plain, &short, &gone, &expired] {
            let shown = PresentedKey { id: key.id.clone(), digest: key.digest };
            good.extend(KeyDirectory::find(store, &shown, now).await.expect("found or not"));
        }
        good
    };
    let listed = ApiKeyStore::list(&store, &scope(), &KEYS).await.expect("list");
    assert_eq!(good(&store).await, [plain.clone(), short.clone()]);
    drop(store);
    revert_to(&test_db, "0008").await;
    let store = test_db.open().await;
    assert_eq!(ApiKeyStore::list(&store, &scope(), &KEYS).await.expect("list"), listed);
    assert_eq!(good(&store).await, [plain.clone(), short.clone()]);
    // An older berth that still runs revokes a key.
    test_db.execute(&format!("UPDATE api_keys SET revoked_at = 1 WHERE id = '{}'", short.id)).await;
    assert_eq!(good(&store).await, [plain]);
}

async fn schema_of_a_newer_program_is_rejected(test_db: TestDatabase) {
    drop(test_db.open().await);
    test_db.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('9001')").await;
    let refused = Database::connect(&Config::new(test_db.url())).await.expect_err("it is newer");
    let StoreError::Newer { found, known } = &refused else { panic!("{refused:?}") };
    assert!(found == "9001" && known.as_str() > "0009", "{refused}");
    let text = refused.to_string();
    assert!(text.contains(found) && text.contains(known), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn database_without_utf_8_is_rejected() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    test_db.administer("DROP DATABASE {}").await;
    test_db
        .administer(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
        )
        .await;
    let refused = Database::connect(&Config::new(test_db.url())).await.expect_err("not UTF-8");
    assert!(refused.to_string().contains("LATIN1"), "{refused}");
    let test_db = TestDatabase::sqlite();
    std::fs::create_dir_all(test_db.file().parent().expect("a folder")).expect("made");
    test_db.execute("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (x)").await;
    let refused = Database::connect(&Config::new(test_db.url())).await.expect_err("not UTF-8");
    assert!(refused.to_string().contains("UTF-16le"), "{refused}");
}

on_both!(
    schema_of_a_newer_program_is_rejected,
    concurrent_starts_succeed,
    second_start_runs_no_migration,
    every_migration_can_be_reverted_and_repeated,
    keys_survive_migrations_of_their_table,
);

fn scripts(database: &str) -> FileBasedMigrations {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(database);
    FileBasedMigrations::from_path(folder).expect("the migrations are there")
}

async fn revert_all(test_db: &TestDatabase) {
    match test_db {
        TestDatabase::Sqlite { .. } => {
            let mut conn = sqlite(test_db);
            conn.revert_all_migrations(scripts("sqlite")).expect("they can be taken back");
        }
        TestDatabase::Postgres { .. } => {
            let conn = AsyncPgConnection::establish(&test_db.url()).await.expect("it answers");
            let mut harness = AsyncMigrationHarness::new(conn);
            harness.revert_all_migrations(scripts("postgres")).expect("they can be taken back");
        }
    }
}

/// Reverts migrations, from the newest to this one.
pub(crate) async fn revert_to(test_db: &TestDatabase, version: &str) {
    match test_db {
        TestDatabase::Sqlite { .. } => {
            let mut conn = sqlite(test_db);
            while conn.revert_last_migration(scripts("sqlite")).expect("reverted").to_string()
                != version
            {}
        }
        TestDatabase::Postgres { .. } => {
            let conn = AsyncPgConnection::establish(&test_db.url()).await.expect("it answers");
            let mut harness = AsyncMigrationHarness::new(conn);
            while harness.revert_last_migration(scripts("postgres")).expect("reverted").to_string()
                != version
            {}
        }
    }
}

fn sqlite(test_db: &TestDatabase) -> diesel::SqliteConnection {
    diesel::SqliteConnection::establish(&test_db.file().display().to_string()).expect("it opens")
}

/// Returns the executed migrations with their times.
async fn history(test_db: &TestDatabase) -> Vec<String> {
    texts(
        test_db,
        "SELECT version || ' ' || run_on AS text FROM __diesel_schema_migrations ORDER BY version",
    )
    .await
}

async fn tables(test_db: &TestDatabase) -> Vec<String> {
    let statement = match test_db {
        TestDatabase::Sqlite { .. } => {
            // SQLite's own tables cannot be dropped.
            "SELECT name AS text FROM sqlite_schema
                WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        }
        TestDatabase::Postgres { .. } => {
            "SELECT tablename::text AS text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        }
    };
    texts(test_db, statement).await
}

#[derive(diesel::QueryableByName)]
struct TextRow {
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}

async fn texts(test_db: &TestDatabase, statement: &str) -> Vec<String> {
    let lines: Vec<TextRow> = match test_db {
        TestDatabase::Sqlite { .. } => {
            use diesel::RunQueryDsl;
            diesel::sql_query(statement).load(&mut sqlite(test_db)).expect("it is answered")
        }
        TestDatabase::Postgres { .. } => {
            use diesel_async::RunQueryDsl;
            let mut conn = AsyncPgConnection::establish(&test_db.url()).await.expect("it answers");
            diesel::sql_query(statement).load(&mut conn).await.expect("it is answered")
        }
    };
    lines.into_iter().map(|line| line.text).collect()
}
