//! The first messages of a phone to a new device: the app state key and an empty history. Clients
//! report "connected" after the first, and events after the second.

use crate::account::Account;
use crate::app_state::SharedKey;
use crate::clock;
use crate::network::Network;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId,
    AppStateSyncKeyShare, HistorySyncNotification, HistorySyncType, ProtocolMessage,
};
use waproto::whatsapp::{HistorySync, Message, Pushname, history_sync};

/// Queues the initial messages, once for each device.
pub(crate) fn send_initial_sync(network: &Network, account: &mut Account, id: u32) {
    let key = account.app_state.key();
    let Some(device) = account.devices.get_mut(&id) else { return };
    if std::mem::replace(&mut device.greeted, true) {
        return;
    }
    device.enqueue(network.next_id("M"), key_share(&key), Some("peer"));
    if device.description.inline_history {
        device.enqueue(network.next_id("M"), history(&account.number, &account.name), Some("peer"));
    }
}

/// Returns the history of an account without messages.
fn history(number: &str, name: &str) -> Message {
    let past = HistorySync {
        sync_type: history_sync::HistorySyncType::INITIAL_BOOTSTRAP,
        chunk_order: Some(1),
        progress: Some(100),
        pushnames: vec![Pushname {
            id: Some(format!("{number}@s.whatsapp.net")),
            pushname: Some(name.to_owned()),
        }],
        ..Default::default()
    };
    protocol(ProtocolMessage {
        r#type: Some(Type::HISTORY_SYNC_NOTIFICATION),
        history_sync_notification: MessageField::some(HistorySyncNotification {
            sync_type: Some(HistorySyncType::INITIAL_BOOTSTRAP),
            chunk_order: Some(1),
            progress: Some(100),
            initial_hist_bootstrap_inline_payload: Some(zlib(&past.encode_to_vec())),
            ..Default::default()
        }),
        ..Default::default()
    })
}

/// Encodes bytes as a zlib stream of stored blocks, without compression.
fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let blocks = bytes.chunks(usize::from(u16::MAX)).count();
    for (n, block) in bytes.chunks(usize::from(u16::MAX)).enumerate() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        stream.push(u8::from(n + 1 == blocks));
        stream.extend_from_slice(&length.to_le_bytes());
        stream.extend_from_slice(&(!length).to_le_bytes());
        stream.extend_from_slice(block);
    }
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    stream.extend_from_slice(&(b << 16 | a).to_be_bytes());
    stream
}

fn key_share(key: &SharedKey) -> Message {
    let fingerprint = AppStateSyncKeyFingerprint {
        raw_id: Some(1),
        current_index: Some(0),
        device_indexes: vec![0],
    };
    let shared = AppStateSyncKey {
        key_id: MessageField::some(AppStateSyncKeyId { key_id: Some(key.id.0.clone()) }),
        key_data: MessageField::some(AppStateSyncKeyData {
            key_data: Some(key.data.0.to_vec()),
            fingerprint: MessageField::some(fingerprint),
            timestamp: i64::try_from(clock::seconds()).ok(),
        }),
    };
    protocol(ProtocolMessage {
        r#type: Some(Type::APP_STATE_SYNC_KEY_SHARE),
        app_state_sync_key_share: MessageField::some(AppStateSyncKeyShare { keys: vec![shared] }),
        ..Default::default()
    })
}

fn protocol(message: ProtocolMessage) -> Message {
    Message { protocol_message: MessageField::some(message), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_a_valid_zlib_stream() {
        // Flag 2 marks a compressed node; the engine decodes the stream.
        for bytes in [vec![0x13; 10], vec![0x37; 200_000]] {
            let packed = [&[2][..], &zlib(&bytes)].concat();
            assert_eq!(wacore_binary::util::unpack(&packed).unwrap(), bytes);
        }
    }
}
