//! [`Inspection`]: the state of a database, read without a migration and without a new file.

use std::path::{Path, PathBuf};

use diesel::{QueryableByName, migration::MigrationSource, sql_types::Text};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use secrecy::ExposeSecret as _;

use crate::{
    Config, Database, StoreError,
    database::pools::{self, Pools},
    database_url::DatabaseUrl,
    engine::{
        migrations::{TextColumn, check_encoding},
        postgres::{self, pooler_check, server::PostgresServer},
        sqlite::{self, connect::SqliteConnection},
    },
};

/// The oldest supported version of PostgreSQL, as `server_version_num`.
const MIN_POSTGRES: i64 = 140_000;

/// The state of a database.
#[derive(Default)]
pub struct Inspection {
    /// The database for reads. `None` when the file of an SQLite database does not exist.
    pub database: Option<Database>,
    /// Path of an SQLite database.
    pub file: Option<PathBuf>,
    /// Newest applied migration; `None` before the first one.
    pub newest: Option<String>,
    /// Migrations that the next start of berth runs, the oldest first.
    pub pending: Vec<String>,
    /// Migrations of a newer program.
    pub unknown: Vec<String>,
    /// What is wrong with the server's settings or with the file.
    pub faults: Vec<String>,
    /// Version of the server or of SQLite.
    pub version: String,
}

impl Inspection {
    /// Reads the state of the database. Runs no migration and creates no file.
    ///
    /// # Errors
    /// Those of [`Database::connect`], except that a newer schema is no error.
    pub async fn read(config: &Config) -> Result<Self, StoreError> {
        match DatabaseUrl::parse(config.url.expose_secret())? {
            DatabaseUrl::Postgres(target) => {
                let server = PostgresServer::new(&target, config)?;
                let mut inspection =
                    tokio::time::timeout(config.connect_timeout * 3, of_postgres(&server))
                        .await
                        .map_err(|late| StoreError::Unavailable(late.into()))??;
                let pools = Pools::Postgres(pools::postgres(&server, config)?);
                inspection.database = Some(Database::of_pools(pools, config));
                Ok(inspection)
            }
            DatabaseUrl::Sqlite(file) => of_sqlite(file, config).await,
        }
    }

    /// Compares the applied migrations with those of this program.
    fn set_migrations(&mut self, known: &[String], applied: &[String]) {
        let missing = |from: &[String], of: &[String]| {
            from.iter().filter(|name| !of.contains(name)).cloned().collect::<Vec<_>>()
        };
        self.newest = applied.last().cloned();
        self.pending = missing(known, applied);
        self.unknown = missing(applied, known);
    }
}

#[derive(QueryableByName)]
struct ServerSetting {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    text: String,
}

const APPLIED: &str = "SELECT version AS text FROM __diesel_schema_migrations ORDER BY version";

async fn of_postgres(server: &PostgresServer) -> Result<Inspection, StoreError> {
    let open = |opened: diesel::ConnectionResult<AsyncPgConnection>| {
        opened.map_err(|error| StoreError::Unavailable(error.into()))
    };
    let mut conn = open(server.open().await)?;
    let mut other = open(server.open().await)?;
    pooler_check::reject_transaction_pooling(&mut conn, &mut other).await?;
    let mut inspection = Inspection::default();
    let settings: Vec<ServerSetting> = diesel::sql_query(
        "SELECT name AS name, setting AS text FROM pg_settings WHERE name IN \
         ('server_version', 'server_version_num', 'server_encoding', 'synchronous_commit', 'fsync')",
    )
    .load(&mut conn)
    .await?;
    for ServerSetting { name, text } in settings {
        match (name.as_str(), text.as_str()) {
            ("server_encoding", _) => check_encoding("UTF8", TextColumn { text })?,
            ("server_version_num", number)
                if number.parse().is_ok_and(|n: i64| n < MIN_POSTGRES) =>
            {
                inspection.faults.push("the server is older than version 14".to_owned());
            }
            ("synchronous_commit", "off") => inspection.faults.push(
                "synchronous_commit is off: a crash of the server loses acknowledged changes"
                    .to_owned(),
            ),
            ("fsync", "off") => inspection
                .faults
                .push("fsync is off: a power failure damages the database".to_owned()),
            ("server_version", _) => inspection.version = format!("PostgreSQL {text}"),
            _ => {}
        }
    }
    let table: TextColumn = diesel::sql_query(
        "SELECT coalesce(to_regclass('__diesel_schema_migrations')::text, '') AS text",
    )
    .get_result(&mut conn)
    .await?;
    let applied: Vec<TextColumn> = if table.text.is_empty() {
        Vec::new()
    } else {
        diesel::sql_query(APPLIED).load(&mut conn).await?
    };
    let known = names::<diesel::pg::Pg>(&postgres::migrate::POSTGRES)?;
    inspection.set_migrations(&known, &texts(applied));
    Ok(inspection)
}

async fn of_sqlite(file: PathBuf, config: &Config) -> Result<Inspection, StoreError> {
    let mut inspection = Inspection { file: Some(file.clone()), ..Inspection::default() };
    let known = names::<diesel::sqlite::Sqlite>(&sqlite::migrate::SQLITE)?;
    if !file.exists() {
        inspection.pending = known;
        return Ok(inspection);
    }
    let mut conn = open_file(&file).await?;
    let version: TextColumn = diesel::sql_query("SELECT 'SQLite ' || sqlite_version() AS text")
        .get_result(&mut conn)
        .await?;
    inspection.version = version.text;
    let damage: Vec<TextColumn> =
        diesel::sql_query("SELECT quick_check AS text FROM pragma_quick_check LIMIT 3")
            .load(&mut conn)
            .await?;
    let damage = texts(damage);
    if damage != ["ok"] {
        inspection.faults.push(format!("the file is damaged: {}", damage.join("; ")));
    }
    let table: TextColumn = diesel::sql_query(
        "SELECT CAST(count(*) AS TEXT) AS text FROM sqlite_master \
         WHERE name = '__diesel_schema_migrations'",
    )
    .get_result(&mut conn)
    .await?;
    let applied: Vec<TextColumn> = if table.text == "0" {
        Vec::new()
    } else {
        diesel::sql_query(APPLIED).load(&mut conn).await?
    };
    inspection.set_migrations(&known, &texts(applied));
    drop(conn);
    let pools = Pools::Sqlite(pools::sqlite(&file, config)?);
    inspection.database = Some(Database::of_pools(pools, config));
    Ok(inspection)
}

async fn open_file(file: &Path) -> Result<SqliteConnection, StoreError> {
    let conn = SqliteConnection::establish(&file.to_string_lossy()).await;
    let mut conn = conn.map_err(|error| StoreError::Unavailable(error.into()))?;
    diesel::sql_query("PRAGMA query_only = ON").execute(&mut conn).await?;
    Ok(conn)
}

fn names<DB: diesel::backend::Backend>(
    source: &diesel_migrations::EmbeddedMigrations,
) -> Result<Vec<String>, StoreError> {
    let known = MigrationSource::<DB>::migrations(source).map_err(StoreError::Migration)?;
    let mut names: Vec<_> = known.iter().map(|known| known.name().version().to_string()).collect();
    names.sort();
    Ok(names)
}

fn texts(rows: Vec<TextColumn>) -> Vec<String> {
    rows.into_iter().map(|row| row.text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn missing_file_is_not_created() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("berth.db").display());
        let inspection = Inspection::read(&Config::new(url)).await.unwrap();
        assert!(inspection.database.is_none() && !inspection.pending.is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn migrations_of_other_programs_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("berth.db");
        let config = Config::new(format!("sqlite:{}", file.display()));
        drop(Database::connect(&config).await.unwrap());
        let inspection = Inspection::read(&config).await.unwrap();
        assert_eq!((inspection.pending.len(), inspection.unknown.len()), (0, 0));
        assert_eq!(inspection.faults, Vec::<String>::new());
        let mut conn = SqliteConnection::establish(&file.to_string_lossy()).await.unwrap();
        for change in [
            "INSERT INTO __diesel_schema_migrations (version, run_on) VALUES ('9999', '2026-01-01')",
            "DELETE FROM __diesel_schema_migrations WHERE version = \
             (SELECT min(version) FROM __diesel_schema_migrations)",
        ] {
            diesel::sql_query(change).execute(&mut conn).await.unwrap();
        }
        let inspection = Inspection::read(&config).await.unwrap();
        assert_eq!(
            (inspection.pending.len(), inspection.unknown.as_slice()),
            (1, &["9999".to_owned()][..])
        );
    }
}
