//! Store of data keys in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::{
    id::OrganizationId,
    ports::{
        error::PortResult,
        store::{
            data_keys::{DataKey, DataKeyStore},
            written::Written,
        },
    },
    testing::memory::state::Memory,
};

#[async_trait]
impl DataKeyStore for Memory {
    async fn find(
        &self,
        organization: &OrganizationId,
        number: u32,
    ) -> PortResult<Option<DataKey>> {
        Ok(self.state()?.data_keys.get(&(organization.clone(), number)).cloned())
    }

    async fn insert_first(&self, key: &DataKey) -> PortResult<DataKey> {
        let mut state = self.state()?;
        let id = (key.organization.clone(), key.number);
        Ok(state.data_keys.entry(id).or_insert_with(|| key.clone()).clone())
    }

    async fn wrapped_by_others(
        &self,
        seal_key: &str,
        after: Option<&OrganizationId>,
        limit: u32,
    ) -> PortResult<Vec<DataKey>> {
        let state = self.state()?;
        let is_listed = |key: &&DataKey| {
            key.seal_key != seal_key && after.is_none_or(|after| key.organization > *after)
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(state.data_keys.values().filter(is_listed).take(limit).cloned().collect())
    }

    async fn rewrap(&self, key: &DataKey, from: &str) -> PortResult<Written> {
        let mut state = self.state()?;
        match state.data_keys.get_mut(&(key.organization.clone(), key.number)) {
            Some(stored) if stored.seal_key == from => {
                stored.seal_key.clone_from(&key.seal_key);
                stored.wrapped.clone_from(&key.wrapped);
                Ok(Written::Done)
            }
            _ => Ok(Written::Raced),
        }
    }

    async fn count_by_seal_key(&self) -> PortResult<BTreeMap<String, u64>> {
        let mut counts = BTreeMap::new();
        for key in self.state()?.data_keys.values() {
            *counts.entry(key.seal_key.clone()).or_default() += 1;
        }
        Ok(counts)
    }
}
