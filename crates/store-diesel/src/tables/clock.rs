//! Reads the clock of the database server, for routers that compare their own with it.

use diesel::{dsl::sql, sql_types::BigInt};
use diesel_async::RunQueryDsl;
use domain::{Timestamp, ports::PortResult};

use crate::{Database, DatabaseKind, database::statements::with_conn};

impl Database {
    /// Returns the current time of the server; `None` on SQLite, which uses the clock of this
    /// machine.
    ///
    /// # Errors
    /// *Unavailable* when the server does not answer in time.
    pub async fn clock(&self) -> PortResult<Option<Timestamp>> {
        if self.kind() == DatabaseKind::Sqlite {
            return Ok(None);
        }
        self.run(async |database| {
            let millis: i64 = with_conn!(database, read, |conn| {
                let now = sql::<BigInt>("(extract(epoch FROM clock_timestamp()) * 1000)::bigint");
                diesel::select(now).get_result(conn).await
            })?;
            Ok(Some(Timestamp::from_millis(millis)))
        })
        .await
    }
}
