//! Stores the device, and the message secrets by which replies are decrypted.

use async_trait::async_trait;
use wacore::store::{
    Device,
    error::StoreError,
    traits::{
        DeviceStore, MsgSecretEntry, MsgSecretStore, merge_msg_secret_expiry,
        merge_msg_secret_message_ts,
    },
};

use super::{
    rows::{IndexColumns, Kind, joined_key},
    session_keys::{SessionKeys, write_json},
};
use crate::sqlite::Result;

/// The length of a message secret in bytes; the time of the message follows in the value.
const SECRET: usize = 32;
/// The rank of a secret without an expiry: later than every deadline.
const NEVER: i64 = i64::MAX;

#[async_trait]
impl DeviceStore for SessionKeys {
    async fn save(&self, device: &Device) -> Result<()> {
        self.put(Kind::Device, "", write_json(device)?).await
    }

    async fn load(&self) -> Result<Option<Device>> {
        self.get_json(Kind::Device, "").await
    }

    async fn exists(&self) -> Result<bool> {
        Ok(self.get(Kind::Device, "").await?.is_some())
    }

    async fn create(&self) -> Result<i32> {
        let device = write_json(&Device::new())?;
        self.write(move |rows| match rows.get(Kind::Device, b"")? {
            Some(_) => Ok(()),
            None => rows.put(Kind::Device, b"", &device, IndexColumns::default()),
        })
        .await?;
        Ok(i32::try_from(self.number).unwrap_or(i32::MAX)) // the engine only logs the number
    }
}

#[async_trait]
impl MsgSecretStore for SessionKeys {
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> Result<usize> {
        self.write(move |rows| {
            for entry in &entries {
                let key = key(&entry.chat, &entry.sender, &entry.msg_id);
                let (mut expires, mut sent) = (entry.expires_at, entry.message_ts);
                if let Some((value, rank)) = rows.get_ranked(Kind::MessageSecret, &key)? {
                    expires = merge_msg_secret_expiry(deadline(rank), expires);
                    sent = merge_msg_secret_message_ts(apart(value)?.1, sent);
                }
                let value = [entry.secret.as_slice(), &sent.to_be_bytes()].concat();
                let rank = Some(if expires == 0 { NEVER } else { expires });
                let index = IndexColumns { rank, ..IndexColumns::default() };
                rows.put(Kind::MessageSecret, &key, &value, index)?;
            }
            Ok(entries.len())
        })
        .await
    }

    async fn get_msg_secret(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<Vec<u8>>> {
        let found = self.get_msg_secret_with_ts(chat, sender, msg_id).await?;
        Ok(found.map(|(secret, _)| secret))
    }

    async fn get_msg_secret_with_ts(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<(Vec<u8>, i64)>> {
        self.get(Kind::MessageSecret, key(chat, sender, msg_id)).await?.map(apart).transpose()
    }

    async fn delete_expired_msg_secrets(&self, cutoff_timestamp: i64) -> Result<u32> {
        let first_kept = cutoff_timestamp.saturating_add(1);
        self.write(move |rows| rows.remove_ranked_below(Kind::MessageSecret, first_kept)).await
    }
}

fn key(chat: &str, sender: &str, id: &str) -> Vec<u8> {
    joined_key([chat.as_bytes(), sender.as_bytes(), id.as_bytes()])
}

/// Converts a rank to the engine's expiry, where 0 means never.
fn deadline(rank: Option<i64>) -> i64 {
    rank.filter(|rank| *rank != NEVER).unwrap_or(0)
}

/// Splits a value into the secret and the time of its message.
fn apart(mut value: Vec<u8>) -> Result<(Vec<u8>, i64)> {
    let sent = value.split_off(value.len().min(SECRET));
    let wrong = |_| StoreError::Validation("a message secret has a wrong length".into());
    Ok((value, sent.as_slice().try_into().map(i64::from_be_bytes).map_err(wrong)?))
}
