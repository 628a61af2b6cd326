//! Stores the app state: the sync keys, the versions of the collections, and the MACs of applied
//! mutations.

use std::collections::HashMap;

use async_trait::async_trait;
use wacore::{
    appstate::{hash::HashState, processor::AppStateMutationMAC},
    store::traits::{AppStateSyncKey, AppSyncStore},
};

use super::{
    rows::{IndexColumns, Kind, joined_key, key_prefix},
    session_keys::{SessionKeys, write_json},
};
use crate::sqlite::Result;

#[async_trait]
impl AppSyncStore for SessionKeys {
    async fn get_sync_key(&self, key_id: &[u8]) -> Result<Option<AppStateSyncKey>> {
        self.get_json(Kind::SyncKey, key_id).await
    }

    async fn set_sync_key(&self, key_id: &[u8], key: AppStateSyncKey) -> Result<()> {
        let (id, value) = (key_id.to_vec(), write_json(&key)?);
        self.write(move |rows| {
            let newest = rows.highest(Kind::SyncKey)?.map_or(0, |(_, rank)| rank);
            let index = IndexColumns { rank: Some(newest + 1), ..IndexColumns::default() };
            rows.put(Kind::SyncKey, &id, &value, index)
        })
        .await
    }

    async fn get_version(&self, name: &str) -> Result<HashState> {
        Ok(self.get_json(Kind::Version, name).await?.unwrap_or_default())
    }

    async fn set_version(&self, name: &str, state: HashState) -> Result<()> {
        self.put(Kind::Version, name, write_json(&state)?).await
    }

    async fn put_mutation_macs(
        &self,
        name: &str,
        _version: u64,
        mutations: &[AppStateMutationMAC],
    ) -> Result<()> {
        let key = |mac: &AppStateMutationMAC| joined_key([name.as_bytes(), &mac.index_mac]);
        let macs = mutations.iter().map(|mac| (key(mac), mac.value_mac.clone())).collect();
        self.put_all(Kind::MutationMac, macs).await
    }

    async fn get_mutation_mac(&self, name: &str, index_mac: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get(Kind::MutationMac, joined_key([name.as_bytes(), index_mac])).await
    }

    async fn get_mutation_macs(
        &self,
        name: &str,
        index_macs: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Vec<u8>>> {
        let (name, index_macs) = (name.to_owned(), index_macs.to_vec());
        self.read(move |rows| {
            let mut found = HashMap::with_capacity(index_macs.len());
            for mac in index_macs {
                let value = rows.get(Kind::MutationMac, &joined_key([name.as_bytes(), &mac]))?;
                found.extend(value.map(|value| (mac, value)));
            }
            Ok(found)
        })
        .await
    }

    async fn delete_mutation_macs(&self, name: &str, index_macs: &[Vec<u8>]) -> Result<()> {
        let keys: Vec<_> =
            index_macs.iter().map(|mac| joined_key([name.as_bytes(), mac.as_slice()])).collect();
        self.write(move |rows| keys.iter().try_for_each(|key| rows.remove(Kind::MutationMac, key)))
            .await
    }

    async fn clear_mutation_macs(&self, name: &str) -> Result<()> {
        let start = key_prefix(name.as_bytes());
        self.write(move |rows| rows.remove_by_prefix(Kind::MutationMac, &start)).await
    }

    async fn get_latest_sync_key_id(&self) -> Result<Option<Vec<u8>>> {
        let newest = self.read(|rows| rows.highest(Kind::SyncKey)).await?;
        Ok(newest.map(|(id, _)| id))
    }
}
