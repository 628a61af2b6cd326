//! API keys as requests present them, and keys of callers that were authenticated before.

use std::collections::BTreeSet;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::{
    ApiKey, KeyId, Timestamp,
    ports::{KeyDirectory, KeyValidity, PortResult, PresentedKey},
};

use crate::{
    Database, StoreError,
    database::statements::{point_lookup, with_conn},
    rows::api_key::ApiKeyRow,
    schema::api_keys,
    scope,
    tables::id_chunks::id_chunks,
};

#[async_trait]
impl KeyValidity for Database {
    async fn valid_key(&self, id: &KeyId, now: Timestamp) -> PortResult<Option<ApiKey>> {
        let (ids, now) = ([id.to_string()], now.millis());
        self.run(move |database| async move {
            let row: Option<ApiKeyRow> = with_conn!(database, read, |conn| {
                scope::valid_keys_by_id(&ids, now)
                    .select(ApiKeyRow::as_select())
                    .get_result(conn)
                    .await
                    .optional()
            })?;
            row.map(ApiKey::try_from).transpose()
        })
        .await
    }

    async fn valid_keys(
        &self,
        ids: &BTreeSet<KeyId>,
        now: Timestamp,
    ) -> PortResult<BTreeSet<KeyId>> {
        let (ids, now) = (ids.iter().cloned().collect::<Vec<_>>(), now.millis());
        self.run(move |database| async move {
            let mut valid = BTreeSet::new();
            for some in id_chunks(&ids) {
                let found: Vec<String> = with_conn!(database, read, |conn| {
                    scope::valid_keys_by_id(&some, now).select(api_keys::id).load(conn).await
                })?;
                for id in found {
                    let parsed = KeyId::parse(&id);
                    valid.insert(parsed.ok_or_else(|| StoreError::corrupt("api_keys.id", &id))?);
                }
            }
            Ok(valid)
        })
        .await
    }
}

#[async_trait]
impl KeyDirectory for Database {
    async fn find(&self, presented: &PresentedKey, now: Timestamp) -> PortResult<Option<ApiKey>> {
        let row =
            point_lookup!(self, ApiKeyRow, scope::valid_key(&presented.digest, now.millis()))?;
        Ok(row.map(ApiKey::try_from).transpose()?.filter(|key| key.id == presented.id))
    }

    async fn record_use(&self, id: &KeyId, at: Timestamp) -> PortResult<()> {
        let (id, at) = (id.to_string(), at.millis());
        self.run(|database| async move {
            with_conn!(database, write, |conn| {
                diesel::update(scope::key_last_used_before(&id, at))
                    .set(api_keys::last_used_at.eq(at))
                    .execute(conn)
                    .await
            })?;
            Ok(())
        })
        .await
    }
}
