//! Prepares the keys of a restored back-up: drops the state that must never be used twice.
//!
//! A back-up is older than what WhatsApp and the contacts know. Keys of conversations that moved on
//! would encrypt with numbers that were used already, and could not decrypt newer messages. Without
//! them, the engine negotiates new ones: incoming messages that cannot be decrypted are asked for
//! again with new keys, and the first message to each device begins a new conversation. The identity
//! and the link of the device, and the state of its settings, stay.
//!
//! Decision: ADR 0060.

use std::path::Path;

use anyhow::Context as _;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::rows::Kind;
use crate::RestoredSession;

/// What contacts and the device have used after the copy: numbers of messages (`Session`,
/// `SenderKey`), to whom group keys were sent, answered requests, device lists, and messages that
/// WhatsApp sends again.
const DROPPED: [Kind; 6] = [
    Kind::Session,
    Kind::SenderKey,
    Kind::SenderKeyDevice,
    Kind::BaseKey,
    Kind::DeviceList,
    Kind::PendingInbound,
];
/// The distance to the next id of one-time keys. WhatsApp may have keys of this device with ids that
/// the copy does not know.
const PRE_KEY_DISTANCE: u64 = 1_000_000;
/// The greatest id of one-time keys (24 bits).
const MAX_PRE_KEY: u64 = 0xFF_FFFF;
/// A rotation long ago, so that the engine rotates the signed key at once: a rotation after the copy
/// would have left WhatsApp with a key that the copy lacks. 0 means "unknown" to the engine.
const LONG_AGO_MILLIS: i64 = 1;

/// Drops the keys of conversations in a file that no process uses, and returns its sessions.
///
/// # Errors
/// Fails when the file cannot be changed, and when the device of a session cannot be read.
pub(crate) fn forget_message_keys(file: &Path) -> anyhow::Result<Vec<RestoredSession>> {
    let mut connection = Connection::open(file)?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    let transaction = connection.transaction()?;
    for kind in DROPPED {
        transaction.execute("DELETE FROM entries WHERE kind = ?1", [kind as u8])?;
    }
    let sql = "SELECT number, name, value FROM sessions \
               LEFT JOIN entries ON session = number AND kind = ?1 ORDER BY number";
    let mut statement = transaction.prepare(sql)?;
    let rows = statement.query_map([Kind::Device as u8], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<Vec<u8>>>(2)?))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    drop(statement);
    let mut sessions = Vec::with_capacity(rows.len());
    for (number, name, device) in rows {
        let mut linked = false;
        if let Some(device) = device {
            let mut device: Value = serde_json::from_slice(&device)
                .with_context(|| format!("the device of session {name} cannot be read"))?;
            linked = !device["pn"].is_null();
            prepare(&mut device);
            transaction.execute(
                "UPDATE entries SET value = ?1 WHERE session = ?2 AND kind = ?3",
                rusqlite::params![serde_json::to_vec(&device)?, number, Kind::Device as u8],
            )?;
        }
        sessions.push(RestoredSession { name, linked });
    }
    transaction.commit()?;
    Ok(sessions)
}

/// Lets the engine upload new one-time keys and a new signed key at the next connection (fields of
/// `wacore::store::Device`; `prekeys.rs` and `features/rotate_key.rs` of the engine read them).
fn prepare(device: &mut Value) {
    let next = device["next_pre_key_id"].as_u64().unwrap_or_default() + PRE_KEY_DISTANCE;
    let next = if next > MAX_PRE_KEY { next - MAX_PRE_KEY } else { next };
    device["next_pre_key_id"] = json!(next);
    // Ids from here on are not offered yet; unused keys of the copy may have been used since.
    device["first_unupload_pre_key_id"] = json!(next);
    device["server_has_prekeys"] = json!(false);
    device["last_signed_pre_key_rotation_ms"] = json!(LONG_AGO_MILLIS);
}

#[cfg(test)]
mod tests {
    use wacore::store::Device;

    use super::*;

    #[test]
    fn device_gets_new_ids_and_stays_the_same_device() {
        let mut before = Device::new();
        before.next_pre_key_id = 813;
        before.first_unupload_pre_key_id = 800;
        before.server_has_prekeys = true;
        let mut value = serde_json::to_value(&before).unwrap();
        prepare(&mut value);
        let after: Device = serde_json::from_value(value).unwrap();
        assert_eq!(
            (after.next_pre_key_id, after.first_unupload_pre_key_id),
            (1_000_813, 1_000_813)
        );
        assert_eq!((after.server_has_prekeys, after.last_signed_pre_key_rotation_ms), (false, 1));
        assert_eq!(after.registration_id, before.registration_id);
        assert_eq!(after.signed_pre_key_id, before.signed_pre_key_id);
        let mut value = json!({ "next_pre_key_id": MAX_PRE_KEY });
        prepare(&mut value);
        assert_eq!(value["next_pre_key_id"], PRE_KEY_DISTANCE);
    }
}
