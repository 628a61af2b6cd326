//! The receiving side of a phone: opens messages, shows them, confirms them, and asks for a retry
//! of a message that the phone cannot decrypt.

use crate::account::Account;
use crate::clock;
use crate::encoding::Base64Text;
use crate::journal::Record;
use crate::messaging::conversation::ChatMessage;
use crate::messaging::delivery;
use crate::messaging::parcel::{Parcel, ParcelBody};
use crate::messaging::queue::StanzaClass;
use crate::messaging::receipts::{self, Receipt, ReceiptKind};
use crate::messaging::stanzas;
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::signal::PhoneSignalError;
use crate::stanza::{leaf, parent};
use wacore::messages::unwrap_device_sent;
use wacore_binary::builder::NodeBuilder;
use waproto::buffa::Message as _;
use waproto::whatsapp::Message;

/// Retries that a phone asks for, for one message.
const MAX_RETRIES: u32 = 5;
/// The retry from which a phone sends its keys.
const FIRST_RETRY_WITH_KEYS: u32 = 2;

/// Stores a message for a phone. [`receive`] hands the message to the phone.
pub(crate) fn enqueue(state: &mut NetworkState, number: &str, mut parcel: Parcel) {
    let NetworkState { accounts, journal, .. } = state;
    let Some(account) = accounts.get_mut(number) else { return };
    parcel.seq = account.next_parcel;
    account.next_parcel += 1;
    journal.write(&Record::parcel(number, &parcel));
    account.parcels.push_back(parcel);
}

/// A message of an own device to its phone, outside of any chat.
pub(crate) struct InternalRequest {
    pub(crate) device: u32,
    pub(crate) id: String,
    pub(crate) protobuf: Vec<u8>,
}

/// Hands all stored messages to a phone that has a connection. Returns the messages of own devices
/// that belong to no chat.
pub(crate) fn receive(
    network: &Network,
    state: &mut NetworkState,
    number: &str,
) -> Vec<InternalRequest> {
    let mut requests = Vec::new();
    loop {
        let Ok(account) = state.account(number) else { return requests };
        if !account.settings.online {
            return requests;
        }
        let Some(parcel) = account.parcels.pop_front() else { return requests };
        let opened = open(account, &parcel);
        state.store_sessions(number);
        match opened {
            Ok(protobuf) if parcel.internal => {
                let (device, id) = (parcel.device, parcel.id.clone());
                requests.push(InternalRequest { device, id, protobuf });
            }
            Ok(bytes) => show(network, state, number, &parcel, bytes),
            // The phone has shown the message already, and its receipt was lost.
            Err(PhoneSignalError::Repeated) => confirm(network, state, number, &parcel),
            Err(error) => {
                tracing::debug!(%error, number, id = parcel.id, "a phone cannot decrypt a message");
                ask_for_retry(network, state, number, &parcel);
            }
        }
        state.journal.write(&Record::received(number, parcel.seq));
    }
}

fn open(account: &mut Account, parcel: &Parcel) -> Result<Vec<u8>, PhoneSignalError> {
    match &parcel.body {
        ParcelBody::Plain(bytes) => Ok(bytes.0.clone()),
        ParcelBody::Sealed(kind, bytes) => {
            account.signal.open(&(parcel.from.clone(), parcel.device), kind, &bytes.0)
        }
    }
}

/// Shows a decrypted message. A message that was unreadable so far keeps its place.
fn show(
    network: &Network,
    state: &mut NetworkState,
    number: &str,
    parcel: &Parcel,
    bytes: Vec<u8>,
) {
    let bytes = without_wrapper(bytes);
    let NetworkState { accounts, journal, .. } = state;
    let Some(account) = accounts.get_mut(number) else { return };
    let is_unreadable = |message: &ChatMessage| !message.readable && is_of(message, parcel);
    let healed = account.conversations.with_id(&parcel.id).any(is_unreadable);
    let message = if healed {
        account.conversations.update(&parcel.id, is_unreadable, |message| message.read(bytes))
    } else {
        let mut message = placeholder(account, parcel);
        message.read(bytes);
        Some(account.conversations.push(message))
    };
    if let Some(message) = message {
        journal.write(&Record::message(number, message));
    }
    account.retries.remove(&(parcel.id.clone(), (parcel.from.clone(), parcel.device)));
    confirm(network, state, number, parcel);
}

/// Returns the message within the wrapper in which own devices send copies.
fn without_wrapper(bytes: Vec<u8>) -> Vec<u8> {
    match Message::decode_from_slice(&bytes[..]) {
        Ok(message) if message.device_sent_message.is_set() => {
            unwrap_device_sent(message).encode_to_vec()
        }
        _ => bytes,
    }
}

fn is_of(message: &ChatMessage, parcel: &Parcel) -> bool {
    message.from == parcel.from && message.from_device == parcel.device
}

/// Returns the message as the phone shows it before the decryption.
fn placeholder(account: &Account, parcel: &Parcel) -> ChatMessage {
    let from_me = parcel.from == account.number;
    ChatMessage {
        order: 0,
        id: parcel.id.clone(),
        chat: parcel.chat.clone(),
        from: parcel.from.clone(),
        from_device: parcel.device,
        from_me,
        addressing: parcel.addressing,
        kind: "unreadable".to_owned(),
        text: None,
        target: None,
        timestamp: parcel.timestamp,
        at: clock::millis(),
        readable: false,
        notified: !from_me && !account.has_available_device(),
        retries: 0,
        edit: parcel.edit.clone(),
        expiration: None,
        receipts: Vec::new(),
        protobuf: Base64Text(Vec::new()),
    }
}

/// Tells the sender that the message has arrived. Own devices are not told.
fn confirm(network: &Network, state: &mut NetworkState, number: &str, parcel: &Parcel) {
    if parcel.from == number || parcel.internal {
        return;
    }
    let receipt = Receipt {
        from: (number, 0),
        to: &parcel.from,
        addressing: parcel.addressing,
        ids: std::slice::from_ref(&parcel.id),
        kind: ReceiptKind::Delivered,
    };
    receipts::pass_on(network, state, &receipt);
}

/// Shows a placeholder and asks the sender's device to encrypt the message again.
fn ask_for_retry(network: &Network, state: &mut NetworkState, number: &str, parcel: &Parcel) {
    let NetworkState { accounts, journal, .. } = state;
    let Some(account) = accounts.get_mut(number) else { return };
    let sender = (parcel.from.clone(), parcel.device);
    let count = account.retries.entry((parcel.id.clone(), sender)).or_default();
    *count += 1;
    let count = *count;
    if !parcel.internal {
        let is_unreadable = |message: &ChatMessage| !message.readable && is_of(message, parcel);
        let known = account.conversations.with_id(&parcel.id).any(is_unreadable);
        if !known {
            let message = placeholder(account, parcel);
            account.conversations.push(message);
        }
        let updated = account
            .conversations
            .update(&parcel.id, is_unreadable, |message| message.retries = count);
        if let Some(message) = updated {
            journal.write(&Record::message(number, message));
        }
    }
    if count > MAX_RETRIES {
        return;
    }
    let node = retry_receipt(account, parcel, count);
    let queued = stanzas::queued(StanzaClass::Receipt, number, node);
    delivery::enqueue(network, state, (&parcel.from, parcel.device), queued);
}

fn retry_receipt(account: &Account, parcel: &Parcel, count: u32) -> wacore_binary::Node {
    let retry = NodeBuilder::new("retry")
        .attr("v", "1")
        .attr("id", parcel.id.as_str())
        .attr("t", parcel.timestamp)
        .attr("count", count)
        .build();
    let mut children =
        vec![retry, leaf("registration", account.signal.registration().to_be_bytes())];
    if count >= FIRST_RETRY_WITH_KEYS {
        children.push(parent("keys", account.signal.public_keys()));
    }
    let mut receipt = NodeBuilder::new("receipt")
        .attr("from", account.address(0, parcel.addressing))
        .attr("id", parcel.id.as_str())
        .attr("t", clock::seconds())
        .attr("type", "retry");
    if parcel.from == account.number {
        receipt = if parcel.internal {
            receipt.attr("category", "peer")
        } else {
            receipt.attr("recipient", parcel.chat_jid.as_str())
        };
    }
    receipt.children(children).build()
}
