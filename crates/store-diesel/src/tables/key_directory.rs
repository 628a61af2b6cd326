//! API keys as requests present them.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::{
    ApiKey, KeyId, Timestamp,
    ports::{KeyDirectory, PortResult, PresentedKey},
};

use crate::{
    Database,
    database::statements::{point_lookup, with_conn},
    rows::api_key::ApiKeyRow,
    schema::api_keys,
    scope,
};

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
