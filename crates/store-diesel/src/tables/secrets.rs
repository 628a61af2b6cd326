//! Stores secrets that all routers of one database share.

use diesel::{OptionalExtension, prelude::*};
use diesel_async::RunQueryDsl;
use domain::ports::PortResult;

use crate::{
    Database, StoreError,
    database::statements::{with_conn, with_transaction},
    schema::secrets,
};

impl Database {
    /// Returns the secret of this name. The first caller determines its value, `fresh`; every later
    /// call returns the same value.
    ///
    /// # Errors
    /// *Unavailable* when the database does not answer in time; *broken* when the stored value does
    /// not have 32 bytes.
    pub async fn secret(&self, name: &'static str, fresh: [u8; 32]) -> PortResult<[u8; 32]> {
        self.run(move |database| async move {
            // After the first start the secret exists.
            let known: Option<Vec<u8>> = with_conn!(database, read, |conn| {
                secrets::table.find(name).select(secrets::value).get_result(conn).await.optional()
            })?;
            let value: Vec<u8> = match known {
                Some(value) => value,
                None => with_transaction!(database, |conn| {
                    let row = (secrets::name.eq(name), secrets::value.eq(fresh.as_slice()));
                    diesel::insert_into(secrets::table)
                        .values(row)
                        .on_conflict_do_nothing()
                        .execute(conn)
                        .await?;
                    Ok(secrets::table.find(name).select(secrets::value).get_result(conn).await?)
                })?,
            };
            value.try_into().map_err(|_: Vec<u8>| StoreError::corrupt("secrets.value", name))
        })
        .await
    }
}
