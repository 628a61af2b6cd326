//! Stores the engine's data on other accounts: devices, numbers, tokens and messages in progress.

use async_trait::async_trait;
use wacore::{
    store::traits::{
        DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore,
        TcTokenEntry,
    },
    time::now_secs,
};

use super::{
    rows::{IndexColumns, Kind, Rows, joined_key, key_prefix},
    session_keys::{SessionKeys, read_json, write_json},
};
use crate::{messaging::lost_content, sqlite::Result};

#[async_trait]
impl ProtocolStore for SessionKeys {
    async fn get_sender_key_devices(&self, group_jid: &str) -> Result<Vec<(String, bool)>> {
        let start = key_prefix(group_jid.as_bytes());
        let skip = start.len();
        let devices = self.read(move |rows| rows.list(Kind::SenderKeyDevice, &start)).await?;
        let device = |key: &[u8]| String::from_utf8_lossy(&key[skip..]).into_owned();
        Ok(devices.iter().map(|(key, has)| (device(key), has == HAS_KEY)).collect())
    }

    async fn set_sender_key_status(&self, group_jid: &str, entries: &[(&str, bool)]) -> Result<()> {
        let group = group_jid.to_owned();
        let entries: Vec<_> = entries.iter().map(|(jid, has)| ((*jid).to_owned(), *has)).collect();
        self.write(move |rows| {
            entries.iter().try_for_each(|(device, has)| {
                let device = device.as_bytes();
                let index = IndexColumns { second_key: Some(device), ..IndexColumns::default() };
                let value: &[u8] = if *has { HAS_KEY } else { NO_KEY };
                rows.put(
                    Kind::SenderKeyDevice,
                    &joined_key([group.as_bytes(), device]),
                    value,
                    index,
                )
            })
        })
        .await
    }

    async fn clear_sender_key_devices(&self, group_jid: &str) -> Result<()> {
        let start = key_prefix(group_jid.as_bytes());
        self.write(move |rows| rows.remove_by_prefix(Kind::SenderKeyDevice, &start)).await
    }

    async fn delete_sender_key_device_rows(&self, device_jids: &[&str]) -> Result<()> {
        let devices: Vec<_> = device_jids.iter().map(|jid| jid.as_bytes().to_vec()).collect();
        self.write(move |rows| {
            devices
                .iter()
                .try_for_each(|device| rows.remove_by_second_key(Kind::SenderKeyDevice, device))
        })
        .await
    }

    async fn clear_all_sender_key_devices(&self) -> Result<()> {
        self.write(|rows| rows.remove_by_prefix(Kind::SenderKeyDevice, b"")).await
    }

    async fn get_lid_mapping(&self, lid: &str) -> Result<Option<LidPnMappingEntry>> {
        self.get_json(Kind::LidMapping, lid).await
    }

    async fn get_pn_mapping(&self, phone: &str) -> Result<Option<LidPnMappingEntry>> {
        let phone = phone.as_bytes().to_vec();
        let newest = self.read(move |rows| rows.newest(Kind::LidMapping, &phone)).await?;
        newest.map(|(_, value)| read_json(&value)).transpose()
    }

    async fn put_lid_mapping(&self, entry: &LidPnMappingEntry) -> Result<()> {
        self.put_lid_mappings(std::slice::from_ref(entry)).await
    }

    async fn put_lid_mappings(&self, entries: &[LidPnMappingEntry]) -> Result<()> {
        let entries = entries.to_vec();
        let put = move |rows: &Rows<'_>| {
            let mut fresh = Vec::new();
            for entry in &entries {
                let before: Option<LidPnMappingEntry> = rows
                    .get(Kind::LidMapping, entry.lid.as_bytes())?
                    .map(|value| read_json(&value))
                    .transpose()?;
                if before.is_none_or(|before| before.phone_number != entry.phone_number) {
                    fresh.push((entry.lid.clone(), entry.phone_number.clone()));
                }
                let index = IndexColumns {
                    second_key: Some(entry.phone_number.as_bytes()),
                    rank: Some(entry.updated_at),
                };
                rows.put(Kind::LidMapping, entry.lid.as_bytes(), &write_json(entry)?, index)?;
            }
            Ok(fresh)
        };
        let fresh = self.write(put).await?;
        if let Some(observer) = self.observer.as_ref().filter(|_| !fresh.is_empty()) {
            observer.on_new_mappings(fresh);
        }
        Ok(())
    }

    async fn get_all_lid_mappings(&self) -> Result<Vec<LidPnMappingEntry>> {
        let all = self.read(|rows| rows.list(Kind::LidMapping, b"")).await?;
        all.iter().map(|(_, value)| read_json(value)).collect()
    }

    async fn save_base_key(&self, address: &str, message_id: &str, base_key: &[u8]) -> Result<()> {
        self.put(Kind::BaseKey, pair(address, message_id), base_key).await
    }

    async fn has_same_base_key(
        &self,
        address: &str,
        message_id: &str,
        current_base_key: &[u8],
    ) -> Result<bool> {
        let saved = self.get(Kind::BaseKey, pair(address, message_id)).await?;
        Ok(saved.is_some_and(|saved| saved == current_base_key))
    }

    async fn delete_base_key(&self, address: &str, message_id: &str) -> Result<()> {
        self.remove(Kind::BaseKey, pair(address, message_id)).await
    }

    async fn update_device_list(&self, record: DeviceListRecord) -> Result<()> {
        self.put(Kind::DeviceList, record.user.as_str(), write_json(&record)?).await
    }

    async fn update_device_lists(&self, records: Vec<DeviceListRecord>) -> Result<()> {
        let entry = |record: DeviceListRecord| Ok((record.user.clone(), write_json(&record)?));
        let entries = records.into_iter().map(entry).collect::<Result<_>>()?;
        self.put_all(Kind::DeviceList, entries).await
    }

    async fn get_devices(&self, user: &str) -> Result<Option<DeviceListRecord>> {
        self.get_json(Kind::DeviceList, user).await
    }

    async fn delete_devices(&self, user: &str) -> Result<()> {
        self.remove(Kind::DeviceList, user).await
    }

    async fn get_group_metadata(&self, group_jid: &str) -> Result<Option<Vec<u8>>> {
        self.get(Kind::Group, group_jid).await
    }

    async fn put_group_metadata(&self, group_jid: &str, blob: &[u8]) -> Result<()> {
        self.put(Kind::Group, group_jid, blob).await
    }

    async fn delete_group_metadata(&self, group_jid: &str) -> Result<()> {
        self.remove(Kind::Group, group_jid).await
    }

    async fn get_tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        self.get_json(Kind::TcToken, jid).await
    }

    async fn put_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        self.put(Kind::TcToken, jid, write_json(entry)?).await
    }

    async fn delete_tc_token(&self, jid: &str) -> Result<()> {
        self.remove(Kind::TcToken, jid).await
    }

    async fn get_all_tc_token_jids(&self) -> Result<Vec<String>> {
        let all = self.read(|rows| rows.list(Kind::TcToken, b"")).await?;
        Ok(all.iter().map(|(jid, _)| String::from_utf8_lossy(jid).into_owned()).collect())
    }

    async fn delete_expired_tc_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        self.write(move |rows| {
            let mut gone = 0;
            for (jid, value) in rows.list(Kind::TcToken, b"")? {
                let entry: TcTokenEntry = read_json(&value)?;
                let token = !entry.token.is_empty() && entry.token_timestamp >= token_cutoff;
                let sender = entry.sender_timestamp.is_some_and(|sent| sent >= sender_cutoff);
                if !token && !sender {
                    rows.remove(Kind::TcToken, &jid)?;
                    gone += 1;
                }
            }
            Ok(gone)
        })
        .await
    }

    async fn touch_tc_token_sender_timestamp(
        &self,
        jid: &str,
        sender_timestamp: i64,
    ) -> Result<()> {
        self.change_token(jid, move |token| {
            let blank = TcTokenEntry {
                token: Vec::new(),
                token_timestamp: sender_timestamp,
                sender_timestamp: None,
            };
            let entry = token.unwrap_or(blank);
            let newest = entry.sender_timestamp.unwrap_or(i64::MIN).max(sender_timestamp);
            Some(TcTokenEntry { sender_timestamp: Some(newest), ..entry })
        })
        .await
    }

    async fn store_received_tc_token(
        &self,
        jid: &str,
        token: &[u8],
        token_timestamp: i64,
    ) -> Result<()> {
        let token = token.to_vec();
        self.change_token(jid, move |known| {
            let newer = |known: &TcTokenEntry| {
                !known.token.is_empty() && known.token_timestamp > token_timestamp
            };
            if known.as_ref().is_some_and(newer) {
                return None;
            }
            let sender_timestamp = known.and_then(|known| known.sender_timestamp);
            Some(TcTokenEntry { token: token.clone(), token_timestamp, sender_timestamp })
        })
        .await
    }

    async fn store_sent_message(
        &self,
        chat_jid: &str,
        message_id: &str,
        payload: &[u8],
    ) -> Result<()> {
        let (key, payload) = (pair(chat_jid, message_id), payload.to_vec());
        self.write(move |rows| rows.put(Kind::SentMessage, &key, &payload, now())).await
    }

    async fn take_sent_message(&self, chat_jid: &str, message_id: &str) -> Result<Option<Vec<u8>>> {
        let key = pair(chat_jid, message_id);
        self.write(move |rows| {
            let payload = rows.get(Kind::SentMessage, &key)?;
            rows.remove(Kind::SentMessage, &key)?;
            Ok(payload)
        })
        .await
    }

    async fn delete_expired_sent_messages(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.write(move |rows| rows.remove_ranked_below(Kind::SentMessage, cutoff_timestamp)).await
    }

    async fn store_pending_inbound(
        &self,
        chat: &str,
        sender: &str,
        id: &str,
        message: &[u8],
    ) -> Result<()> {
        self.store_pending_inbound_batch(&[PendingInboundRow { chat, sender, id, message }]).await
    }

    async fn get_pending_inbound(
        &self,
        chat: &str,
        sender: &str,
        id: &str,
    ) -> Result<Option<Vec<u8>>> {
        let stored = self.get(Kind::PendingInbound, triple(chat, sender, id)).await?;
        // The engine asks about messages that it cannot decrypt a second time.
        Ok(stored.or_else(|| Some(lost_content::placeholder().to_vec())))
    }

    async fn delete_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<()> {
        self.remove(Kind::PendingInbound, triple(chat, sender, id)).await
    }

    async fn delete_expired_pending_inbound(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.write(move |rows| rows.remove_ranked_below(Kind::PendingInbound, cutoff_timestamp))
            .await
    }

    async fn store_pending_inbound_batch(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        let own = |row: &PendingInboundRow<'_>| {
            (triple(row.chat, row.sender, row.id), row.message.to_vec())
        };
        let is_content = |row: &&PendingInboundRow<'_>| row.message != lost_content::placeholder();
        let messages: Vec<_> = rows.iter().filter(is_content).map(own).collect();
        self.write(move |rows| {
            messages
                .iter()
                .try_for_each(|(key, message)| rows.put(Kind::PendingInbound, key, message, now()))
        })
        .await
    }

    async fn delete_pending_inbound_batch(&self, keys: &[PendingInboundKey<'_>]) -> Result<()> {
        let keys: Vec<_> = keys.iter().map(|key| triple(key.chat, key.sender, key.id)).collect();
        self.write(move |rows| {
            keys.iter().try_for_each(|key| rows.remove(Kind::PendingInbound, key))
        })
        .await
    }
}

const HAS_KEY: &[u8] = &[1];
const NO_KEY: &[u8] = &[0];

impl SessionKeys {
    /// Returns whether a message with this id was stored for this chat.
    pub(super) async fn has_sent_message(&self, chat: &str, id: &str) -> Result<bool> {
        Ok(self.get(Kind::SentMessage, pair(chat, id)).await?.is_some())
    }

    /// Updates a contact's token in one transaction; `None` keeps the token.
    async fn change_token(
        &self,
        jid: &str,
        change: impl Fn(Option<TcTokenEntry>) -> Option<TcTokenEntry> + Send + 'static,
    ) -> Result<()> {
        let jid = jid.as_bytes().to_vec();
        self.write(move |rows: &Rows<'_>| {
            let token =
                rows.get(Kind::TcToken, &jid)?.map(|value| read_json(&value)).transpose()?;
            match change(token) {
                Some(token) => {
                    rows.put(Kind::TcToken, &jid, &write_json(&token)?, IndexColumns::default())
                }
                None => Ok(()),
            }
        })
        .await
    }
}

fn now() -> IndexColumns<'static> {
    IndexColumns { rank: Some(now_secs()), ..IndexColumns::default() }
}

fn pair(one: &str, two: &str) -> Vec<u8> {
    joined_key([one.as_bytes(), two.as_bytes()])
}

fn triple(one: &str, two: &str, three: &str) -> Vec<u8> {
    joined_key([one.as_bytes(), two.as_bytes(), three.as_bytes()])
}
