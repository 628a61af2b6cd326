//! What a phone sends a device it has just linked: the key to the account's settings, and the (empty) past. Clients
//! hold back "connected" until the first has come, and their events until the second has.

use crate::account::Account;
use crate::app_state::SharedKey;
use crate::clock;
use crate::network::Network;
use waproto::buffa::MessageField;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId,
    AppStateSyncKeyShare, ProtocolMessage,
};
use waproto::whatsapp::Message;

/// Puts the greeting on its way, once for each device.
pub(crate) fn greet(network: &Network, account: &mut Account, id: u32) {
    let key = account.app_state.key();
    let Some(device) = account.devices.get_mut(&id) else { return };
    if std::mem::replace(&mut device.greeted, true) {
        return;
    }
    device.post(network.next_id("M"), key_share(&key), Some("peer"));
}

fn key_share(key: &SharedKey) -> Message {
    let fingerprint = AppStateSyncKeyFingerprint {
        raw_id: Some(1),
        current_index: Some(0),
        device_indexes: vec![0],
    };
    let shared = AppStateSyncKey {
        key_id: MessageField::some(AppStateSyncKeyId { key_id: Some(key.id.clone()) }),
        key_data: MessageField::some(AppStateSyncKeyData {
            key_data: Some(key.data.to_vec()),
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
