//! Rotation of seal keys: rewraps data keys by the first seal key, and tells which are in use.

use domain::ports::{DataKey, PortResult, Written};

use crate::{
    seal_keys::SealKey,
    sealer::{Sealer, unwrap, wrap},
};

/// Number of data keys that one read returns.
const PAGE: u32 = 200;

/// The result of a rotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Number of data keys that the first seal key wraps now.
    pub done: u64,
    /// Number of data keys that cannot be unwrapped, because their seal key is missing or wrong.
    pub failed: u64,
}

/// How a seal key is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealKeyUse {
    /// Id of the seal key.
    pub id: String,
    /// Whether the seal key is configured.
    pub configured: bool,
    /// Whether the seal key wraps new data keys.
    pub first: bool,
    /// Number of data keys that the seal key wraps.
    pub data_keys: u64,
}

impl SealKeyUse {
    /// Returns whether secrets cannot be opened, because the key wraps data keys and is not
    /// configured.
    pub fn is_missing(&self) -> bool {
        !self.configured && self.data_keys > 0
    }

    /// Returns whether the key can be removed from the configuration.
    pub fn is_removable(&self) -> bool {
        self.configured && !self.first && self.data_keys == 0
    }
}

impl Sealer {
    /// Wraps every data key by the first seal key. Secrets stay as they are. Several processes may
    /// rotate at once.
    ///
    /// # Errors
    /// Those of the store. A repeated call continues.
    pub async fn rewrap_all(&self) -> PortResult<Rewrapped> {
        let mut result = Rewrapped::default();
        let Some(first) = self.keys.first() else { return Ok(result) };
        let mut after = None;
        loop {
            let page = self.store.wrapped_by_others(&first.id, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(result) };
            after = Some(last.organization.clone());
            for key in page {
                if self.rewrap(first, &key).await? {
                    result.done += 1;
                } else {
                    result.failed += 1;
                }
            }
        }
    }

    /// Returns whether the first seal key wraps the data key now.
    async fn rewrap(&self, first: &SealKey, key: &DataKey) -> PortResult<bool> {
        let unwrapped = unwrap(&self.keys, key);
        let wrapped =
            unwrapped.and_then(|bytes| wrap(first, &key.organization, key.number, &bytes));
        match wrapped {
            Ok(wrapped) => {
                let rewrapped = DataKey { seal_key: first.id.clone(), wrapped, ..key.clone() };
                // Of two processes one rewraps; the outcome is the same.
                match self.store.rewrap(&rewrapped, &key.seal_key).await? {
                    Written::Done | Written::Raced => Ok(true),
                }
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(seal_key = key.seal_key, error, "a data key cannot be unwrapped");
                Ok(false)
            }
        }
    }

    /// Tries to unwrap data keys of up to 200 organizations, and returns the number of those that
    /// cannot be unwrapped. Changes nothing.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn unopenable_data_keys(&self) -> PortResult<usize> {
        // No seal key has an empty id, so that the page has the data keys of all seal keys.
        let page = self.store.wrapped_by_others("", None, PAGE).await?;
        Ok(page.iter().filter(|key| unwrap(&self.keys, key).is_err()).count())
    }

    /// Returns the use of every seal key that is configured or wraps a data key.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn seal_key_uses(&self) -> PortResult<Vec<SealKeyUse>> {
        let mut counts = self.store.count_by_seal_key().await?;
        let mut uses = Vec::new();
        for (index, id) in self.keys.ids().enumerate() {
            let data_keys = counts.remove(id).unwrap_or_default();
            uses.push(SealKeyUse {
                id: id.to_owned(),
                configured: true,
                first: index == 0,
                data_keys,
            });
        }
        let missing =
            |(id, data_keys)| SealKeyUse { id, configured: false, first: false, data_keys };
        uses.extend(counts.into_iter().map(missing));
        Ok(uses)
    }
}
