//! A database of its own for one test; dropped afterwards.

use std::{
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use diesel::connection::SimpleConnection;
use store_diesel::{Config, Database};
use tempfile::TempDir;
use tokio_postgres::{NoTls, config::Host};

/// A new, empty database.
pub(crate) enum TestDatabase {
    Sqlite { folder: TempDir },
    Postgres { server: Box<tokio_postgres::Config>, name: String },
}

impl TestDatabase {
    /// Returns an SQLite file in a temporary folder.
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Creates a database on the test server.
    pub(crate) async fn postgres() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        #[expect(clippy::disallowed_methods, reason = "a test has no command line to be told by")]
        let url = std::env::var("BERTH_TEST_POSTGRES_URL").expect(
            "these tests need a PostgreSQL server of their own: run `cargo xtask test`, which \
             starts one, or name one by BERTH_TEST_POSTGRES_URL",
        );
        let server: tokio_postgres::Config = url.parse().expect("a PostgreSQL URL");
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("berth_store_{}_{count}", process::id());
        let test_db = Self::Postgres { server: Box::new(server), name };
        test_db.administer("DROP DATABASE IF EXISTS {} WITH (FORCE)").await;
        test_db.administer("CREATE DATABASE {}").await;
        test_db
    }

    /// Returns the URL of the database.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite { .. } => format!("sqlite:{}", self.file().display()),
            Self::Postgres { server, .. } => {
                let Some(Host::Tcp(host)) = server.get_hosts().first() else {
                    panic!("the tests' PostgreSQL server is reached by TCP");
                };
                self.url_at(host, self.port(), "")
            }
        }
    }

    /// Returns the URL of the PostgreSQL database through another host and port.
    pub(crate) fn url_at(&self, host: &str, port: u16, parameters: &str) -> String {
        let Self::Postgres { server, name } = self else { panic!("a file has no host") };
        let user = server.get_user().unwrap_or("postgres");
        let password = server.get_password().map(String::from_utf8_lossy).unwrap_or_default();
        format!("postgres://{user}:{password}@{host}:{port}/{name}?{parameters}")
    }

    /// Returns the port of the PostgreSQL server.
    pub(crate) fn port(&self) -> u16 {
        let Self::Postgres { server, .. } = self else { panic!("a file has no port") };
        server.get_ports().first().copied().unwrap_or(5432)
    }

    /// Returns the path of the SQLite file.
    pub(crate) fn file(&self) -> PathBuf {
        let Self::Sqlite { folder } = self else { panic!("a server is no file") };
        folder.path().join("data").join("berth.db")
    }

    /// Opens the store.
    pub(crate) async fn open(&self) -> Database {
        Database::connect(&Config::new(self.url())).await.expect("the database opens")
    }

    /// Runs statements without the store.
    pub(crate) async fn execute(&self, statements: &str) {
        match self {
            Self::Sqlite { .. } => {
                let url = self.file().display().to_string();
                let statements = format!("PRAGMA busy_timeout = 5000; {statements}");
                tokio::task::spawn_blocking(move || {
                    use diesel::Connection;
                    let mut conn = diesel::SqliteConnection::establish(&url).expect("opens");
                    conn.batch_execute(&statements).expect("the statements run");
                })
                .await
                .expect("no panic");
            }
            Self::Postgres { .. } => {
                let ran = self.client().await.batch_execute(statements).await;
                ran.expect("the statements run");
            }
        }
    }

    /// Opens a separate connection to the PostgreSQL database.
    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        let Self::Postgres { server, name } = self else { panic!("a file has no server") };
        let mut here = server.clone();
        here.dbname(name.as_str());
        client(&here).await
    }

    /// Runs a statement on the server, with the name of the database in place of the braces.
    pub(crate) async fn administer(&self, statement: &str) {
        let Self::Postgres { server, name } = self else { panic!("a file has no server") };
        let statement = statement.replace("{}", name);
        client(server).await.batch_execute(&statement).await.expect("the statement runs");
    }
}

async fn client(server: &tokio_postgres::Config) -> tokio_postgres::Client {
    let (client, connection) = server.connect(NoTls).await.expect("the server answers");
    tokio::spawn(connection);
    client
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Self::Postgres { server, name } = self else { return };
        let (server, name) = (server.clone(), name.clone());
        // A destructor cannot wait for async work; a thread can.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                client(&server).await.batch_execute(&statement).await.expect("it is dropped");
            });
        })
        .join();
        assert!(
            dropped.is_ok() || std::thread::panicking(),
            "the test's database could not be dropped"
        );
    }
}
