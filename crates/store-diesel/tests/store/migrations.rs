//! The tables come up at start, also when several start at once, and can be taken down again.

use std::path::Path;

use diesel::Connection;
use diesel_async::{AsyncConnection, AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use domain::{
    SessionId, Timestamp,
    ports::{ApiKeyStore, KeyDirectory, PresentedKey, SessionStore},
};
use store_diesel::{Config, Database, StoreError};

use crate::{
    claims::{done, on_both},
    corruption::{KEYS, a_key},
    outage::scope,
    place::Place,
};

async fn many_processes_may_start_at_once(place: Place) {
    let starts = (0..6).map(|_| {
        let config = Config::new(place.url());
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

async fn starting_again_changes_nothing(place: Place) {
    drop(place.open().await);
    let before = history(&place).await;
    drop(place.open().await);
    assert_eq!(history(&place).await, before);
    assert!(!before.is_empty());
}

async fn every_migration_can_be_taken_back_and_made_again(place: Place) {
    drop(place.open().await);
    assert!(tables(&place).await.contains(&"sessions".to_owned()));
    revert_all(&place).await;
    assert_eq!(tables(&place).await, ["__diesel_schema_migrations"]);
    let store = place.open().await;
    assert_eq!(
        SessionStore::find(&store, &scope(), &SessionId::from_bits(1)).await.expect("served"),
        None
    );
}

async fn keys_outlive_their_table_being_made_anew(place: Place) {
    let store = place.open().await;
    let (now, later) = (Timestamp::from_millis(1_800_000_000_000), 1_800_000_000_001);
    let [plain, short] = [a_key(1, None), a_key(2, Some(Timestamp::from_millis(later)))];
    let [gone, expired] = [a_key(3, None), a_key(4, Some(now))];
    for key in [&plain, &short, &gone, &expired] {
        done(ApiKeyStore::insert(&store, &scope(), key, &[], None).await);
    }
    done(store.revoke(&scope(), &gone.id, now, &[]).await);
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
    revert_to(&place, "0008").await;
    let store = place.open().await;
    assert_eq!(ApiKeyStore::list(&store, &scope(), &KEYS).await.expect("list"), listed);
    assert_eq!(good(&store).await, [plain.clone(), short.clone()]);
    // An older berth that still runs revokes a key.
    place.execute(&format!("UPDATE api_keys SET revoked_at = 1 WHERE id = '{}'", short.id)).await;
    assert_eq!(good(&store).await, [plain]);
}

async fn a_schema_that_a_newer_program_made_is_refused(place: Place) {
    drop(place.open().await);
    place.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('9001')").await;
    let refused = Database::connect(&Config::new(place.url())).await.expect_err("it is newer");
    let StoreError::Newer { found, known } = &refused else { panic!("{refused:?}") };
    assert!(found == "9001" && known.as_str() > "0009", "{refused}");
    let text = refused.to_string();
    assert!(text.contains(found) && text.contains(known), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_utf_8_is_refused() {
    let place = Place::postgres().await;
    place.administer("DROP DATABASE {}").await;
    place
        .administer(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
        )
        .await;
    let refused = Database::connect(&Config::new(place.url())).await.expect_err("not UTF-8");
    assert!(refused.to_string().contains("LATIN1"), "{refused}");
    let place = Place::sqlite();
    std::fs::create_dir_all(place.file().parent().expect("a folder")).expect("made");
    place.execute("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (x)").await;
    let refused = Database::connect(&Config::new(place.url())).await.expect_err("not UTF-8");
    assert!(refused.to_string().contains("UTF-16le"), "{refused}");
}

on_both!(
    a_schema_that_a_newer_program_made_is_refused,
    many_processes_may_start_at_once,
    starting_again_changes_nothing,
    every_migration_can_be_taken_back_and_made_again,
    keys_outlive_their_table_being_made_anew,
);

fn scripts(database: &str) -> FileBasedMigrations {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(database);
    FileBasedMigrations::from_path(folder).expect("the migrations are there")
}

async fn revert_all(place: &Place) {
    match place {
        Place::Sqlite { .. } => {
            let mut conn = sqlite(place);
            conn.revert_all_migrations(scripts("sqlite")).expect("they can be taken back");
        }
        Place::Postgres { .. } => {
            let conn = AsyncPgConnection::establish(&place.url()).await.expect("it answers");
            let mut harness = AsyncMigrationHarness::new(conn);
            harness.revert_all_migrations(scripts("postgres")).expect("they can be taken back");
        }
    }
}

/// Takes migrations back, from the newest to this one.
async fn revert_to(place: &Place, version: &str) {
    match place {
        Place::Sqlite { .. } => {
            let mut conn = sqlite(place);
            while conn.revert_last_migration(scripts("sqlite")).expect("reverted").to_string()
                != version
            {}
        }
        Place::Postgres { .. } => {
            let conn = AsyncPgConnection::establish(&place.url()).await.expect("it answers");
            let mut harness = AsyncMigrationHarness::new(conn);
            while harness.revert_last_migration(scripts("postgres")).expect("reverted").to_string()
                != version
            {}
        }
    }
}

fn sqlite(place: &Place) -> diesel::SqliteConnection {
    diesel::SqliteConnection::establish(&place.file().display().to_string()).expect("it opens")
}

/// Which migrations ran when.
async fn history(place: &Place) -> Vec<String> {
    texts(
        place,
        "SELECT version || ' ' || run_on AS text FROM __diesel_schema_migrations ORDER BY version",
    )
    .await
}

async fn tables(place: &Place) -> Vec<String> {
    let statement = match place {
        Place::Sqlite { .. } => {
            "SELECT name AS text FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        }
        Place::Postgres { .. } => {
            "SELECT tablename::text AS text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        }
    };
    texts(place, statement).await
}

#[derive(diesel::QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}

async fn texts(place: &Place, statement: &str) -> Vec<String> {
    let lines: Vec<Line> = match place {
        Place::Sqlite { .. } => {
            use diesel::RunQueryDsl;
            diesel::sql_query(statement).load(&mut sqlite(place)).expect("it is answered")
        }
        Place::Postgres { .. } => {
            use diesel_async::RunQueryDsl;
            let mut conn = AsyncPgConnection::establish(&place.url()).await.expect("it answers");
            diesel::sql_query(statement).load(&mut conn).await.expect("it is answered")
        }
    };
    lines.into_iter().map(|line| line.text).collect()
}
