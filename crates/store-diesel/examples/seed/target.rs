//! Runs statements on the database without the store.

use diesel::{
    Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection,
    connection::SimpleConnection as _, sql_types::BigInt,
};
use tokio_postgres::NoTls;

use crate::Result;

/// The tables with data of organizations. Tables with berth's own data, such as `secrets`, are not
/// checked.
const TABLES: [&str; 6] = ["sessions", "retirements", "events", "api_keys", "receipts", "gateways"];

pub(crate) enum SeedDatabase {
    Sqlite(Box<SqliteConnection>),
    Postgres(tokio_postgres::Client),
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl SeedDatabase {
    pub(crate) async fn open(url: &str) -> Result<Self> {
        if let Some(file) = url.strip_prefix("sqlite:") {
            let mut conn = SqliteConnection::establish(file)?;
            // After a power failure the database is seeded again.
            conn.batch_execute("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;")?;
            return Ok(Self::Sqlite(Box::new(conn)));
        }
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        Ok(Self::Postgres(client))
    }

    /// Refuses a database with rows.
    pub(crate) async fn must_be_empty(&mut self) -> Result<()> {
        for table in TABLES {
            if self.count(table).await? > 0 {
                return Err(format!("this database is somebody's: it has {table}").into());
            }
        }
        Ok(())
    }

    async fn count(&mut self, table: &str) -> Result<i64> {
        let statement = format!("SELECT count(*) AS count FROM {table}");
        Ok(match self {
            Self::Sqlite(conn) => {
                diesel::sql_query(statement).get_result::<Count>(&mut **conn)?.count
            }
            Self::Postgres(client) => client.query_one(&statement, &[]).await?.get(0),
        })
    }

    /// Moves the existing rows to temporary tables, as templates.
    pub(crate) async fn take_templates(&mut self) -> Result<()> {
        for table in ["sessions", "events"] {
            self.execute(&format!(
                "CREATE TEMPORARY TABLE template_{table} AS SELECT * FROM {table}; DELETE FROM {table};"
            ))
            .await?;
        }
        Ok(())
    }

    pub(crate) async fn execute(&mut self, statements: &str) -> Result<()> {
        match self {
            Self::Sqlite(conn) => conn.batch_execute(statements)?,
            Self::Postgres(client) => client.batch_execute(statements).await?,
        }
        Ok(())
    }

    /// Does the maintenance that the database would do later. An SQLite file is not analysed,
    /// because berth never does so.
    pub(crate) async fn checkpoint_or_vacuum(&mut self) -> Result<()> {
        let statement = match self {
            Self::Sqlite(_) => "PRAGMA wal_checkpoint(TRUNCATE)",
            Self::Postgres(_) => "VACUUM (ANALYZE)",
        };
        self.execute(statement).await
    }
}
