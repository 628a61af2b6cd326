//! Store of data keys: the keys that seal the secrets of an organization, each wrapped by a seal key
//! from outside the database.
//!
//! Decision: ADR 0042.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;

use crate::{
    id::OrganizationId,
    ports::{error::PortResult, store::written::Written},
    time::Timestamp,
};

/// A data key of an organization, as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey {
    /// Organization whose secrets the key seals.
    pub organization: OrganizationId,
    /// Number of the key within the organization, from 1.
    pub number: u32,
    /// Id of the seal key that wraps the key.
    pub seal_key: String,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// Time of creation.
    pub created_at: Timestamp,
}

/// Omits the wrapped key.
impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey")
            .field("organization", &self.organization)
            .field("number", &self.number)
            .field("seal_key", &self.seal_key)
            .finish_non_exhaustive()
    }
}

/// Data keys of all organizations, for the sealer only.
#[async_trait]
pub trait DataKeyStore: Send + Sync {
    /// Returns a data key of an organization.
    async fn find(&self, organization: &OrganizationId, number: u32)
    -> PortResult<Option<DataKey>>;

    /// Stores a data key unless the organization has one of this number, and returns the stored one.
    async fn insert_first(&self, key: &DataKey) -> PortResult<DataKey>;

    /// Returns data keys that another seal key than `seal_key` wraps, at most `limit`, after the
    /// given organization in the order of organizations.
    async fn wrapped_by_others(
        &self,
        seal_key: &str,
        after: Option<&OrganizationId>,
        limit: u32,
    ) -> PortResult<Vec<DataKey>>;

    /// Replaces the wrapping of a data key that `from` still wraps. Returns [`Written::Raced`]
    /// otherwise.
    async fn rewrap(&self, key: &DataKey, from: &str) -> PortResult<Written>;

    /// Returns the number of data keys that each seal key wraps.
    async fn count_by_seal_key(&self) -> PortResult<BTreeMap<String, u64>>;
}
