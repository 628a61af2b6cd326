//! Implements the erasure of an organization's rows.

use async_trait::async_trait;
use diesel::{
    QueryableByName,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;
use domain::{
    OrganizationId,
    ports::{ErasedRows, ErasureStore, PortResult},
};

use crate::{
    Database,
    database::statements::with_conn,
    scope::{
        bound_query::bound_query,
        erasure::{UNFINISHED, erase_statement},
    },
};

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[async_trait]
impl ErasureStore for Database {
    async fn unfinished_deletions(&self, organization: &OrganizationId) -> PortResult<u64> {
        let organization = organization.to_string();
        self.run(|database| async move {
            let row: CountRow = with_conn!(database, read, |conn| {
                bound_query!(UNFINISHED, Text: &organization).get_result(conn).await
            })?;
            Ok(u64::try_from(row.count).unwrap_or_default())
        })
        .await
    }

    async fn erase_rows(
        &self,
        organization: &OrganizationId,
        rows: ErasedRows,
        limit: u32,
    ) -> PortResult<u64> {
        let organization = organization.to_string();
        self.run(|database| async move {
            let (statement, limit) = (erase_statement(rows), i64::from(limit));
            let erased = with_conn!(database, write, |conn| {
                bound_query!(statement, Text: &organization, BigInt: limit).execute(conn).await
            })?;
            Ok(u64::try_from(erased).unwrap_or(u64::MAX))
        })
        .await
    }
}
