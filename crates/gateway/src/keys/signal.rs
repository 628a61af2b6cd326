//! Stores the Signal keys and ratchets.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wacore::store::{error::StoreError, traits::SignalStore};

use super::{rows::Kind, session_keys::SessionKeys};
use crate::sqlite::Result;

#[async_trait]
impl SignalStore for SessionKeys {
    async fn put_identity(&self, address: &str, key: [u8; 32]) -> Result<()> {
        self.put(Kind::Identity, address, key).await
    }

    async fn put_identities_batch(&self, identities: &[(Arc<str>, [u8; 32])]) -> Result<()> {
        self.put_all(Kind::Identity, owned(identities)).await
    }

    async fn load_identity(&self, address: &str) -> Result<Option<[u8; 32]>> {
        let key = self.get(Kind::Identity, address).await?;
        key.map(|key| {
            let length = key.len();
            let wrong = |_| StoreError::Validation(format!("an identity key has {length} bytes"));
            key.try_into().map_err(wrong)
        })
        .transpose()
    }

    async fn delete_identity(&self, address: &str) -> Result<()> {
        self.remove(Kind::Identity, address).await
    }

    async fn get_session(&self, address: &str) -> Result<Option<Bytes>> {
        Ok(self.get(Kind::Session, address).await?.map(Bytes::from))
    }

    async fn put_session(&self, address: &str, session: &[u8]) -> Result<()> {
        self.put(Kind::Session, address, session).await
    }

    async fn put_sessions_batch(&self, sessions: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.put_all(Kind::Session, owned(sessions)).await
    }

    async fn delete_session(&self, address: &str) -> Result<()> {
        self.remove(Kind::Session, address).await
    }

    async fn has_signal_state_for_user(&self, user: &str) -> Result<bool> {
        // The addresses of a user are `user@…` and `user:device@…`.
        let starts = [format!("{user}@").into_bytes(), format!("{user}:").into_bytes()];
        self.read(move |rows| {
            for start in starts {
                if rows.has_prefix(Kind::Session, &start)?
                    || rows.has_prefix(Kind::Identity, &start)?
                {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    async fn store_prekey(&self, id: u32, record: &[u8], _uploaded: bool) -> Result<()> {
        self.put(Kind::PreKey, number(id), record).await
    }

    async fn store_prekeys_batch(&self, keys: &[(u32, Bytes)], _uploaded: bool) -> Result<()> {
        let keys = keys.iter().map(|(id, record)| (number(*id), record.clone())).collect();
        self.put_all(Kind::PreKey, keys).await
    }

    async fn load_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        Ok(self.get(Kind::PreKey, number(id)).await?.map(Bytes::from))
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>> {
        let ids = ids.to_vec();
        self.read(move |rows| {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.extend(rows.get(Kind::PreKey, &number(id))?.map(|key| (id, key.into())));
            }
            Ok(found)
        })
        .await
    }

    /// Stores no mark, because no function reads one; the counters of the device tell which keys
    /// were uploaded.
    async fn mark_prekeys_uploaded(&self, _ids: &[u32]) -> Result<()> {
        Ok(())
    }

    async fn remove_prekey(&self, id: u32) -> Result<()> {
        self.remove(Kind::PreKey, number(id)).await
    }

    async fn get_max_prekey_id(&self) -> Result<u32> {
        let last = self.read(|rows| rows.last(Kind::PreKey)).await?;
        last.map_or(Ok(0), |(key, _)| id(&key))
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> Result<()> {
        self.put(Kind::SignedPreKey, number(id), record).await
    }

    async fn load_signed_prekey(&self, id: u32) -> Result<Option<Vec<u8>>> {
        self.get(Kind::SignedPreKey, number(id)).await
    }

    async fn load_all_signed_prekeys(&self) -> Result<Vec<(u32, Vec<u8>)>> {
        let all = self.read(|rows| rows.list(Kind::SignedPreKey, b"")).await?;
        all.into_iter().map(|(key, record)| Ok((id(&key)?, record))).collect()
    }

    async fn remove_signed_prekey(&self, id: u32) -> Result<()> {
        self.remove(Kind::SignedPreKey, number(id)).await
    }

    async fn put_sender_key(&self, address: &str, record: &[u8]) -> Result<()> {
        self.put(Kind::SenderKey, address, record).await
    }

    async fn put_sender_keys_batch(&self, sender_keys: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.put_all(Kind::SenderKey, owned(sender_keys)).await
    }

    async fn get_sender_key(&self, address: &str) -> Result<Option<Vec<u8>>> {
        self.get(Kind::SenderKey, address).await
    }

    async fn delete_sender_key(&self, address: &str) -> Result<()> {
        self.remove(Kind::SenderKey, address).await
    }
}

/// Copies the addresses; the values are shared.
fn owned<V: Clone>(entries: &[(Arc<str>, V)]) -> Vec<(Vec<u8>, V)> {
    entries.iter().map(|(address, value)| (address.as_bytes().to_vec(), value.clone())).collect()
}

/// Encodes an id as a key that sorts by number.
fn number(id: u32) -> [u8; 4] {
    id.to_be_bytes()
}

fn id(key: &[u8]) -> Result<u32> {
    let wrong = |_| StoreError::Validation(format!("a pre-key id has {} bytes", key.len()));
    key.try_into().map(u32::from_be_bytes).map_err(wrong)
}
