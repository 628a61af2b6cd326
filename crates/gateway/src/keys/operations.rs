//! Operations of an engine on its store, for the model test. Few different names, so that
//! operations concern the same rows.

use std::{fmt::Debug, sync::Arc};

use proptest::prelude::*;
use wacore::{
    appstate::processor::AppStateMutationMAC,
    store::traits::{
        AppStateSyncKey, Backend, DeviceInfo, DeviceListRecord, LidPnMappingEntry, MsgSecretEntry,
        PendingInboundKey, PendingInboundRow, TcTokenEntry,
    },
};

use crate::messaging::lost_content;

/// An operation: its kind, the indexes of two names, and a value.
#[derive(Clone, Debug)]
pub(super) struct StoreOperation {
    kind: u8,
    name: usize,
    other: usize,
    value: u8,
}

impl Arbitrary for StoreOperation {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        (0..OPERATION_KINDS, 0..3_usize, 0..3_usize, 1..9_u8)
            .prop_map(|(kind, name, other, value)| Self { kind, name, other, value })
            .boxed()
    }
}

/// The number of operations in [`apply`].
const OPERATION_KINDS: u8 = 50;
/// Names with common prefixes, and values with the separators of other stores.
const NAMES: [&str; 3] = ["15@s.whatsapp.net", "15:2@s.whatsapp.net", "155@g.us"];
const USERS: [&str; 3] = ["15", "155", "1"];
const MESSAGES: [&str; 3] = ["", "A", "A\0B"];

/// Applies the operation and returns its result as text.
pub(super) async fn apply(store: &dyn Backend, operation: &StoreOperation) -> String {
    let StoreOperation { kind, name, other, value } = *operation;
    let (a, b, user, id) = (NAMES[name], NAMES[other], USERS[name], MESSAGES[other]);
    let (number, time) = (u32::from(value), i64::from(value));
    let bytes = [value; 32];
    match kind {
        0 => debug(store.put_identity(a, bytes).await),
        1 => debug(store.put_identities_batch(&[(a.into(), bytes), (b.into(), bytes)]).await),
        2 => debug(store.load_identity(a).await),
        3 => debug(store.delete_identity(a).await),
        4 => debug(store.put_session(a, &bytes).await),
        5 => {
            let sessions = [(Arc::from(a), vec![value].into()), (Arc::from(b), vec![].into())];
            debug(store.put_sessions_batch(&sessions).await)
        }
        6 => debug(store.get_session(a).await),
        7 => debug(store.delete_session(a).await),
        8 => debug(store.has_session(a).await),
        9 => debug(store.has_signal_state_for_user(user).await),
        10 => debug(store.store_prekey(number, &bytes, false).await),
        11 => {
            let keys = [(number, vec![value].into()), (number << 20, vec![value; 2].into())];
            debug(store.store_prekeys_batch(&keys, true).await)
        }
        12 => debug(store.load_prekeys_batch(&[number << 20, number, 1, 2, 3]).await),
        13 => debug(store.mark_prekeys_uploaded(&[number, 1]).await),
        14 => debug(store.remove_prekey(number).await),
        15 => debug(store.get_max_prekey_id().await),
        16 => debug(store.store_signed_prekey(number, &bytes).await),
        17 => debug(store.load_signed_prekey(number).await),
        18 => debug(sorted(store.load_all_signed_prekeys().await)),
        19 => debug(store.remove_signed_prekey(number).await),
        20 => debug(store.put_sender_key(a, &bytes).await),
        21 => debug(store.get_sender_key(a).await),
        22 => debug(store.delete_sender_key(a).await),
        23 => {
            let key =
                AppStateSyncKey { key_data: bytes.into(), fingerprint: vec![], timestamp: time };
            debug(store.set_sync_key(&[value], key).await)
        }
        24 => debug((store.get_sync_key(&[value]).await, store.get_latest_sync_key_id().await)),
        25 => {
            let mut state = store.get_version(a).await.unwrap();
            state.version += u64::from(value);
            state.hash[127] = value;
            state.index_value_map.insert("i".into(), vec![value]);
            debug(store.set_version(a, state).await)
        }
        26 => debug(store.get_version(a).await),
        27 => {
            let mac =
                |index| AppStateMutationMAC { index_mac: vec![index; 32], value_mac: bytes.into() };
            debug(store.put_mutation_macs(a, 1, &[mac(value), mac(value + 1)]).await)
        }
        28 => {
            let found = store.get_mutation_macs(a, &[bytes, [value + 1; 32]]).await;
            debug(sorted(found.map(|found| found.into_iter().collect())))
        }
        29 => debug(store.delete_mutation_macs(a, &[bytes.into()]).await),
        30 => debug(store.clear_mutation_macs(a).await),
        31 => debug(store.set_sender_key_status(a, &[(b, value > 4), ("x", true)]).await),
        32 => debug(sorted(store.get_sender_key_devices(a).await)),
        33 => debug(store.clear_sender_key_devices(a).await),
        34 => debug(store.delete_sender_key_device_rows(&[b, NAMES[0]]).await),
        35 => debug(store.clear_all_sender_key_devices().await),
        36 => {
            let entry = LidPnMappingEntry {
                lid: user.into(),
                phone_number: a.into(),
                created_at: time,
                updated_at: time,
                learning_source: id.into(),
            };
            debug(store.put_lid_mappings(&[entry]).await)
        }
        37 => debug((store.get_lid_mapping(user).await, store.get_pn_mapping(a).await)),
        38 => debug(store.save_base_key(a, id, &bytes).await),
        39 => debug((store.has_same_base_key(a, id, &bytes).await, value)),
        40 => debug(store.delete_base_key(a, id).await),
        41 => debug(devices(store, user, number).await),
        42 => debug(groups(store, a, value).await),
        43 => {
            let sender_timestamp = (value > 4).then_some(time);
            let entry =
                TcTokenEntry { token: vec![value; other], token_timestamp: time, sender_timestamp };
            debug(store.put_tc_token(a, &entry).await)
        }
        44 => debug(store.touch_tc_token_sender_timestamp(a, time).await),
        45 => debug(store.store_received_tc_token(a, &bytes, time).await),
        46 => {
            let gone = store.delete_expired_tc_tokens(time, 9 - time).await;
            debug((gone, store.get_tc_token(a).await, sorted(store.get_all_tc_token_jids().await)))
        }
        47 => debug(sent(store, a, id, value).await),
        48 => debug(pending(store, (a, b, id), value).await),
        _ => debug(secrets(store, (a, b, id), value).await),
    }
}

async fn devices(store: &dyn Backend, user: &str, id: u32) -> impl Debug {
    let record = |user: &str, id| DeviceListRecord {
        user: user.into(),
        devices: vec![DeviceInfo::new(id, Some(7)).with_hosting(true)],
        timestamp: 5,
        phash: None,
        raw_id: Some(id),
    };
    let before = store.get_devices(user).await;
    let done = match id {
        1..3 => store.delete_devices(user).await,
        3..6 => store.update_device_list(record(user, id)).await,
        _ => store.update_device_lists(vec![record(user, id), record("0", id)]).await,
    };
    (before, done, store.get_devices("0").await)
}

async fn groups(store: &dyn Backend, group: &str, value: u8) -> impl Debug {
    let before = store.get_group_metadata(group).await;
    let done = match value {
        1..3 => store.delete_group_metadata(group).await,
        _ => store.put_group_metadata(group, &vec![value; 1 << value]).await,
    };
    (before, done)
}

async fn sent(store: &dyn Backend, chat: &str, id: &str, value: u8) -> impl Debug {
    let done = match value {
        1 => store.delete_expired_sent_messages(i64::MAX).await,
        2 => store.delete_expired_sent_messages(1).await,
        _ => Ok(0),
    };
    let taken = if value < 5 { store.take_sent_message(chat, id).await } else { Ok(None) };
    (done, taken, store.store_sent_message(chat, id, &[value]).await)
}

async fn pending(
    store: &dyn Backend,
    (chat, sender, id): (&str, &str, &str),
    value: u8,
) -> impl Debug {
    let message: &[u8] = &[value];
    let row = PendingInboundRow { chat, sender, id, message };
    let done = match value {
        1 => store.delete_expired_pending_inbound(i64::MAX).await.map(drop),
        2 => store.delete_pending_inbound(chat, sender, id).await,
        3 => store.delete_pending_inbound_batch(&[PendingInboundKey { chat, sender, id }]).await,
        4 => store.delete_expired_pending_inbound(1).await.map(drop),
        5 => store.store_pending_inbound(chat, sender, id, message).await,
        _ => store.store_pending_inbound_batch(&[row]).await,
    };
    let found = store.get_pending_inbound(chat, sender, id).await;
    // The file store answers with a placeholder where the memory store has nothing.
    let is_content = |content: &Vec<u8>| content != lost_content::placeholder();
    (done, found.map(|content| content.filter(is_content)))
}

async fn secrets(
    store: &dyn Backend,
    (chat, sender, id): (&str, &str, &str),
    value: u8,
) -> impl Debug {
    let time = i64::from(value);
    let before = store.get_msg_secret_with_ts(chat, sender, id).await;
    let gone = store.delete_expired_msg_secrets(time).await;
    let expires_at = if value > 7 { 0 } else { 9 - time };
    let entry = MsgSecretEntry {
        chat: chat.into(),
        sender: sender.into(),
        msg_id: id.into(),
        secret: [value; 32],
        expires_at,
        message_ts: time % 3,
    };
    (before, gone, store.put_msg_secrets(vec![entry.clone(), entry]).await)
}

fn debug(outcome: impl Debug) -> String {
    format!("{outcome:?}")
}

fn sorted<T: Ord, E>(all: Result<Vec<T>, E>) -> Result<Vec<T>, E> {
    all.map(|mut all| {
        all.sort();
        all
    })
}
