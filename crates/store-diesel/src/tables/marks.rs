//! Marks: how far berth's own work has come, one row for each kind of work.

use diesel::{
    OptionalExtension,
    prelude::*,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;
use futures_util::future::BoxFuture;

use crate::{
    Database, StoreError, database::statements::with_conn, schema::marks,
    scope::bound_query::bound_query,
};

/// Writes a mark. Parameters: name, number, id.
pub(crate) const SET_MARK: &str = "INSERT INTO marks (name, at, id) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET at = excluded.at, id = excluded.id";

impl Database {
    /// Returns number and id of a mark; `None` before its first write.
    pub(crate) fn mark(
        &self,
        name: &'static str,
    ) -> BoxFuture<'_, Result<Option<(i64, String)>, StoreError>> {
        Box::pin(async move {
            with_conn!(self, read, |conn| {
                marks::table
                    .find(name)
                    .select((marks::at, marks::id))
                    .get_result(conn)
                    .await
                    .optional()
            })
        })
    }

    /// Writes a mark that has an id and no number.
    pub(crate) fn set_mark(
        &self,
        name: &'static str,
        id: String,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            with_conn!(self, write, |conn| {
                bound_query!(SET_MARK, Text: name, BigInt: 0, Text: &id).execute(conn).await
            })?;
            Ok(())
        })
    }
}
