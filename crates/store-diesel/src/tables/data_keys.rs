//! Implements the store of data keys.
//!
//! Decision: ADR 0042.

use std::collections::BTreeMap;

use async_trait::async_trait;
use diesel::{OptionalExtension, dsl::count_star, prelude::*};
use diesel_async::RunQueryDsl;
use domain::{
    OrganizationId,
    ports::{DataKey, DataKeyStore, PortResult, Written},
};

use crate::{
    Database, StoreError,
    database::statements::{with_conn, with_transaction},
    rows::{column::from_bigint, data_key::DataKeyRow},
    schema::data_keys,
    scope::data_keys::{all_data_keys, data_key, wrapped_by_others},
};

#[async_trait]
impl DataKeyStore for Database {
    async fn find(
        &self,
        organization: &OrganizationId,
        number: u32,
    ) -> PortResult<Option<DataKey>> {
        let (organization, number) = (organization.to_string(), i64::from(number));
        self.run(move |database| async move {
            let row: Option<DataKeyRow> = with_conn!(database, read, |conn| {
                let key = data_key(&organization, number).select(DataKeyRow::as_select());
                key.get_result(conn).await.optional()
            })?;
            row.map(DataKey::try_from).transpose()
        })
        .await
    }

    async fn insert_first(&self, key: &DataKey) -> PortResult<DataKey> {
        let row = DataKeyRow::from(key);
        let (organization, number) = (key.organization.to_string(), i64::from(key.number));
        self.run(move |database| async move {
            let stored: DataKeyRow = with_transaction!(database, |conn| {
                diesel::insert_into(data_keys::table)
                    .values(&row)
                    .on_conflict_do_nothing()
                    .execute(conn)
                    .await?;
                let key = data_key(&organization, number).select(DataKeyRow::as_select());
                Ok(key.get_result(conn).await?)
            })?;
            DataKey::try_from(stored)
        })
        .await
    }

    async fn wrapped_by_others(
        &self,
        seal_key: &str,
        after: Option<&OrganizationId>,
        limit: u32,
    ) -> PortResult<Vec<DataKey>> {
        let (seal_key, limit) = (seal_key.to_owned(), i64::from(limit));
        // No organization id is empty.
        let after = after.map(ToString::to_string).unwrap_or_default();
        self.run(move |database| async move {
            let rows: Vec<DataKeyRow> = with_conn!(database, read, |conn| {
                let keys = wrapped_by_others(&seal_key, &after).select(DataKeyRow::as_select());
                keys.limit(limit).load(conn).await
            })?;
            rows.into_iter().map(DataKey::try_from).collect()
        })
        .await
    }

    async fn rewrap(&self, key: &DataKey, from: &str) -> PortResult<Written> {
        let (key, from) = (key.clone(), from.to_owned());
        self.run(move |database| async move {
            let organization = key.organization.to_string();
            let changed = with_conn!(database, write, |conn| {
                let stored = data_key(&organization, i64::from(key.number));
                diesel::update(stored.filter(data_keys::seal_key.eq(from)))
                    .set((data_keys::seal_key.eq(key.seal_key), data_keys::wrapped.eq(key.wrapped)))
                    .execute(conn)
                    .await
            })?;
            Ok(if changed == 1 { Written::Done } else { Written::Raced })
        })
        .await
    }

    async fn count_by_seal_key(&self) -> PortResult<BTreeMap<String, u64>> {
        self.run(|database| async move {
            let rows: Vec<(String, i64)> = with_conn!(database, read, |conn| {
                let counts = all_data_keys().group_by(data_keys::seal_key);
                counts.select((data_keys::seal_key, count_star())).load(conn).await
            })?;
            let count = |(seal_key, count): (String, i64)| {
                let count = from_bigint(count);
                let count = count.ok_or_else(|| StoreError::corrupt("data_keys", &seal_key));
                Ok((seal_key, count?))
            };
            rows.into_iter().map(count).collect()
        })
        .await
    }
}
