//! A database of its own for one unit test; dropped afterwards.

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use diesel::connection::SimpleConnection;
use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::{Config, Database};

/// A new, empty database.
pub(crate) enum TestDatabase {
    Sqlite(TempDir),
    Postgres { server: Box<tokio_postgres::Config>, url: String, name: String },
}

impl TestDatabase {
    /// Returns an SQLite file in a temporary folder.
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a temporary folder"))
    }

    /// Creates a database on the test server; without a test server, prints a message and returns
    /// `None`, and the test ends.
    pub(crate) async fn postgres() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        #[expect(clippy::disallowed_methods, reason = "a test has no command line")]
        let Ok(server_url) = std::env::var("BERTH_TEST_POSTGRES_URL") else {
            eprintln!("skipped: BERTH_TEST_POSTGRES_URL is not set; cargo xtask test sets it");
            return None;
        };
        let server: tokio_postgres::Config = server_url.parse().expect("a PostgreSQL URL");
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("berth_unit_{}_{count}", process::id());
        let (authority, _) = server_url.rsplit_once('/').expect("a URL with a database");
        let url = format!("{authority}/{name}");
        let admin = client(&server).await;
        for statement in ["DROP DATABASE IF EXISTS {} WITH (FORCE)", "CREATE DATABASE {}"] {
            let statement = statement.replace("{}", &name);
            admin.batch_execute(&statement).await.expect("the statement runs");
        }
        Some(Self::Postgres { server: Box::new(server), url, name })
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("berth.db").display()),
            Self::Postgres { url, .. } => url.clone(),
        }
    }

    /// Opens the store.
    pub(crate) async fn open(&self) -> Database {
        Database::connect(&Config::new(self.url())).await.expect("the database opens")
    }

    /// Runs statements without the store.
    pub(crate) async fn execute(&self, statements: &str) {
        match self {
            Self::Sqlite(folder) => {
                use diesel::Connection;
                let file = folder.path().join("berth.db").display().to_string();
                let mut conn = diesel::SqliteConnection::establish(&file).expect("opens");
                let statements = format!("PRAGMA busy_timeout = 5000; {statements}");
                conn.batch_execute(&statements).expect("the statements run");
            }
            Self::Postgres { .. } => {
                self.client().await.batch_execute(statements).await.expect("the statements run");
            }
        }
    }

    /// Opens a separate connection to the PostgreSQL database.
    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        let Self::Postgres { server, name, .. } = self else { panic!("a file has no server") };
        let mut database = server.clone();
        database.dbname(name.as_str());
        client(&database).await
    }
}

async fn client(server: &tokio_postgres::Config) -> tokio_postgres::Client {
    let (client, connection) = server.connect(NoTls).await.expect("the server answers");
    tokio::spawn(connection);
    client
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Self::Postgres { server, name, .. } = self else { return };
        let (server, name) = (server.clone(), name.clone());
        // A destructor cannot wait for async work; a thread can.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                client(&server).await.batch_execute(&statement).await.expect("dropped");
            });
        })
        .join();
        assert!(dropped.is_ok() || std::thread::panicking(), "the database could not be dropped");
    }
}
