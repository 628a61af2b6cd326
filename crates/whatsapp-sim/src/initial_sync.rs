//! The first messages of a phone to a new device: the app state key and the history. Clients
//! report "connected" after the first, and events after the second.

mod history;

use crate::app_state::SharedKey;
use crate::clock;
use crate::messaging::{device_list, outbox};
use crate::network::Network;
use crate::network_state::NetworkState;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId,
    AppStateSyncKeyShare, ProtocolMessage,
};
use waproto::whatsapp::{
    LIDMigrationMapping, LIDMigrationMappingSyncMessage, LIDMigrationMappingSyncPayload, Message,
};

/// Sends the initial messages, once for each device.
pub(crate) fn send(network: &Network, state: &mut NetworkState, number: &str, id: u32) {
    let Ok(account) = state.account(number) else { return };
    let key = account.app_state.key();
    let Some(device) = account.devices.get_mut(&id) else { return };
    if std::mem::replace(&mut device.greeted, true) {
        return;
    }
    let inline_history = device.description.inline_history;
    outbox::send_internal(network, state, number, id, &key_share(&key));
    if inline_history {
        let history = history::message(state, number);
        outbox::send_internal(network, state, number, id, &history);
    }
    device_list::announce(network, state, number, id, true);
    network.changed();
}

/// Tells all devices of an account the LIDs of its chats, after which they address by LID.
pub(crate) fn send_lid_mappings(network: &Network, state: &mut NetworkState, number: &str) {
    let Ok(account) = state.account(number) else { return };
    let devices: Vec<_> = account.devices.keys().copied().collect();
    let partners: Vec<_> = account.conversations.partners().cloned().collect();
    let mapping = |partner: &String| {
        let lid = state.accounts.get(partner)?.lid.parse().ok()?;
        Some(LIDMigrationMapping { pn: partner.parse().ok()?, assigned_lid: lid, latest_lid: None })
    };
    let payload = LIDMigrationMappingSyncPayload {
        pn_to_lid_mappings: partners.iter().filter_map(mapping).collect(),
        chat_db_migration_timestamp: Some(clock::seconds()),
    };
    let sync =
        LIDMigrationMappingSyncMessage { encoded_mapping_payload: Some(payload.encode_to_vec()) };
    let message = protocol(ProtocolMessage {
        r#type: Some(Type::LID_MIGRATION_MAPPING_SYNC),
        lid_migration_mapping_sync_message: MessageField::some(sync),
        ..Default::default()
    });
    for device in devices {
        outbox::send_internal(network, state, number, device, &message);
    }
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
