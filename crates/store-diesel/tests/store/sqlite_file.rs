//! Tests of the SQLite file: creation, permissions and errors.

use std::os::unix::fs::PermissionsExt;

use diesel::{Connection, RunQueryDsl};
use store_diesel::{Config, Database, DatabaseKind, StoreError};

use crate::{both_databases::done, test_database::TestDatabase};

#[derive(diesel::QueryableByName)]
struct Journal {
    #[diesel(sql_type = diesel::sql_types::Text)]
    journal_mode: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_folder_is_created_for_its_owner_only() {
    let test_db = TestDatabase::sqlite();
    let store = test_db.open().await;
    assert_eq!(store.kind(), DatabaseKind::Sqlite);
    store.ping(domain::Timestamp::from_millis(1)).await.expect("it answers");
    let folder = test_db.file().parent().expect("a folder").metadata().expect("it is there");
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    for file in std::fs::read_dir(test_db.file().parent().expect("a folder")).expect("its files") {
        let file = file.expect("a file");
        let mode = file.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file:?}");
    }
    let mut conn = diesel::SqliteConnection::establish(&test_db.file().display().to_string())
        .expect("the file opens twice");
    let journal: Journal =
        diesel::sql_query("PRAGMA journal_mode").get_result(&mut conn).expect("answered");
    assert_eq!(journal.journal_mode, "wal");
}

#[tokio::test(flavor = "multi_thread")]
async fn error_names_a_folder_that_cannot_be_created() {
    let test_db = TestDatabase::sqlite();
    drop(test_db.open().await);
    let inside_a_file = format!("{}/more/berth.db", test_db.url());
    let error = Database::connect(&Config::new(inside_a_file)).await.unwrap_err();
    assert!(matches!(error, StoreError::Folder { .. }), "{error:?}");
    assert!(error.to_string().contains("berth.db/more"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_is_no_database_is_rejected_and_unchanged() {
    let test_db = TestDatabase::sqlite();
    let file = test_db.file();
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("it is made");
    let text = "not a database, but long enough to be taken for one at first sight".repeat(20);
    std::fs::write(&file, &text).expect("it is written");
    let error = Database::connect(&Config::new(test_db.url())).await.unwrap_err();
    assert!(matches!(error, StoreError::Query(_) | StoreError::Unavailable(_)), "{error:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn written_session_is_there_after_a_restart() {
    use domain::{
        Session, Settings,
        ports::SessionStore,
        testing::{TestEnvironment, insert_session},
    };
    let scope = crate::outage::scope();
    let test_db = TestDatabase::sqlite();
    let acme = scope.organization().clone();
    let session = Session::new(acme, None, Settings::default(), &*TestEnvironment::new());
    done(insert_session(&test_db.open().await, &scope, &session, &[], None).await);
    let found = test_db.open().await.find(&scope, &session.id).await.expect("find");
    assert_eq!(found, Some(session));
}
