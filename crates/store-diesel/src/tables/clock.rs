//! The database server's clock, for routers that compare theirs with it.

use diesel::{dsl::sql, sql_types::BigInt};
use diesel_async::RunQueryDsl;
use domain::{Timestamp, ports::PortResult};

use crate::{Database, DatabaseKind, database::statements::with_conn};

impl Database {
    /// Returns the server's time now; `None` on SQLite, which has no clock but this machine's.
    ///
    /// # Errors
    /// When the server does not answer in time.
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
