//! The history of an account for a new device: its chats with their latest messages, the names and
//! LIDs of its partners, and the privacy tokens that the partners gave. The history is sent inline,
//! within the message that announces it.

use crate::account::Account;
use crate::address::Addressing;
use crate::messaging::conversation::ChatMessage;
use crate::network_state::NetworkState;
use std::collections::BTreeSet;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{HistorySyncNotification, HistorySyncType, ProtocolMessage};
use waproto::whatsapp::{
    Conversation, HistorySync, HistorySyncMsg, Message, MessageKey, PhoneNumberToLIDMapping,
    Pushname, WebMessageInfo, history_sync,
};

/// Messages of one chat in the history.
const MAX_MESSAGES: usize = 50;

/// Returns the message that announces and contains the history.
pub(super) fn message(state: &NetworkState, number: &str) -> Message {
    let past = state.accounts.get(number).map(|account| history(state, account));
    let payload = zlib(&past.unwrap_or_default().encode_to_vec());
    let notification = HistorySyncNotification {
        sync_type: Some(HistorySyncType::INITIAL_BOOTSTRAP),
        chunk_order: Some(1),
        progress: Some(100),
        initial_hist_bootstrap_inline_payload: Some(payload),
        ..Default::default()
    };
    let protocol = ProtocolMessage {
        r#type: Some(Type::HISTORY_SYNC_NOTIFICATION),
        history_sync_notification: MessageField::some(notification),
        ..Default::default()
    };
    Message { protocol_message: MessageField::some(protocol), ..Default::default() }
}

fn history(state: &NetworkState, account: &Account) -> HistorySync {
    // Whoever gave a token is known, with or without a chat.
    let givers = state
        .accounts
        .values()
        .filter(|other| other.settings.issued_tokens.contains_key(&account.number));
    let partners = account.conversations.partners().filter_map(|name| state.accounts.get(name));
    let partners: BTreeSet<_> = partners.chain(givers).map(|other| &other.number).collect();
    let partners: Vec<_> =
        partners.into_iter().filter_map(|number| state.accounts.get(number)).collect();
    let name = |account: &Account| Pushname {
        id: Some(account.address(0, Addressing::Pn)),
        pushname: Some(account.name.clone()),
    };
    let mapping = |partner: &&Account| PhoneNumberToLIDMapping {
        pn_jid: Some(partner.address(0, Addressing::Pn)),
        lid_jid: Some(partner.address(0, Addressing::Lid)),
    };
    HistorySync {
        sync_type: history_sync::HistorySyncType::INITIAL_BOOTSTRAP,
        chunk_order: Some(1),
        progress: Some(100),
        conversations: partners.iter().map(|partner| conversation(account, partner)).collect(),
        pushnames: std::iter::once(account).chain(partners.iter().copied()).map(name).collect(),
        phone_number_to_lid_mappings: partners
            .iter()
            .filter(|partner| !partner.settings.number_hidden)
            .map(mapping)
            .collect(),
        nct_salt: account.settings.nct_salt.as_ref().map(|salt| salt.0.clone()),
        ..Default::default()
    }
}

fn conversation(account: &Account, partner: &Account) -> Conversation {
    let addressing = account.addressing();
    let jid = partner.address(0, addressing);
    let chat = account.conversations.iter().rev().filter(|m| m.chat == partner.number);
    let latest: Vec<_> = chat.filter(|message| message.readable).take(MAX_MESSAGES).collect();
    let given = partner.settings.issued_tokens.get(&account.number);
    let issued = account.settings.issued_tokens.get(&partner.number);
    let time = latest.first().map(|message| message.timestamp);
    Conversation {
        messages: latest.iter().map(|message| entry(message, &jid)).collect(),
        id: jid,
        name: Some(partner.name.clone()),
        conversation_timestamp: time,
        last_msg_timestamp: time,
        tc_token: given.map(|given| given.token.0.clone()),
        tc_token_timestamp: given.map(|given| given.timestamp),
        tc_token_sender_timestamp: issued.map(|issued| issued.timestamp),
        ..Default::default()
    }
}

fn entry(message: &ChatMessage, jid: &str) -> HistorySyncMsg {
    let key = MessageKey {
        remote_jid: Some(jid.to_owned()),
        from_me: Some(message.from_me),
        id: Some(message.id.clone()),
        participant: None,
    };
    let info = WebMessageInfo {
        key: MessageField::some(key),
        message: message.content().map(MessageField::some).unwrap_or_default(),
        message_timestamp: Some(message.timestamp),
        ..Default::default()
    };
    HistorySyncMsg { message: MessageField::some(info), msg_order_id: Some(message.order) }
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
