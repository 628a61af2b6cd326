//! The sending side of a phone: a message goes to the partner's phone and devices and, wrapped, to
//! the own devices. A device that cannot decrypt its copy gets the message again.

use crate::account::{Account, InternalMessage, UnsealedCopy};
use crate::address::Addressing;
use crate::clock;
use crate::encoding::Base64Text;
use crate::error::PhoneError;
use crate::journal::Record;
use crate::messaging::content::{ContentContext, MessageContent};
use crate::messaging::conversation::ChatMessage;
use crate::messaging::delivery;
use crate::messaging::inbox;
use crate::messaging::parcel::{Parcel, ParcelBody};
use crate::messaging::receipts::{self, Receipt, ReceiptKind};
use crate::messaging::stanzas::{ChatPartner, MessageHead, StanzaSender};
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::prekeys::PublishedKeys;
use wacore::messages::MessageUtils;
use wacore::send::{media_type_from_message, stanza_type_from_message};
use wacore::types::message::EditAttribute;
use wacore_binary::builder::NodeBuilder;
use waproto::buffa::Message as _;
use waproto::whatsapp::Message;

/// A message that a phone writes.
#[derive(Debug, Clone, PartialEq)]
pub struct OutgoingMessage {
    /// The content.
    pub content: MessageContent,
    /// The id; `None`: a new id.
    pub id: Option<String>,
    /// The namespace of the addresses; `None`: that of the account.
    pub addressing: Option<Addressing>,
    /// The time in Unix seconds that the message names as its own; `None`: now.
    pub timestamp: Option<u64>,
    /// The lifetime of the message in seconds, if the chat has a timer.
    pub expiration: Option<u32>,
    /// The id of a quoted message of the chat.
    pub quoted: Option<String>,
    /// Whether linked devices get an unreadable ciphertext first. A retry brings a readable one.
    pub garbled: bool,
}

impl OutgoingMessage {
    /// Creates a message with this content and a new id.
    pub fn new(content: MessageContent) -> Self {
        Self {
            content,
            id: None,
            addressing: None,
            timestamp: None,
            expiration: None,
            quoted: None,
            garbled: false,
        }
    }

    /// Creates a text message with a new id.
    pub fn text(text: &str) -> Self {
        Self::new(MessageContent::Text { text: text.to_owned() })
    }
}

/// Writes a message from the phone of `number` to a contact: an address or a number.
///
/// The server delivers a repeated id once; the repetition returns the first message.
pub(crate) fn send(
    network: &Network,
    state: &mut NetworkState,
    number: &str,
    to: &str,
    outgoing: &OutgoingMessage,
) -> Result<ChatMessage, PhoneError> {
    if !state.account(number)?.settings.online {
        return Err(PhoneError::PhoneOffline);
    }
    let to = state.contact(to)?;
    let partner = ChatPartner::of(state.account(&to)?);
    let account = state.account(number)?;
    let addressing = outgoing.addressing.unwrap_or(account.addressing());
    let id = outgoing.id.clone().unwrap_or_else(new_id);
    let bytes = encode(account, &partner, addressing, outgoing);
    if !admit(state, number, &to, &id) {
        let account = state.account(number)?;
        let first = account.conversations.with_id(&id).find(|message| message.from_me);
        return first.cloned().ok_or(PhoneError::NoSuchMessage);
    }
    let mut message = ChatMessage {
        order: 0,
        id,
        chat: to.clone(),
        from: number.to_owned(),
        from_device: 0,
        from_me: true,
        addressing,
        kind: String::new(),
        text: None,
        target: None,
        timestamp: outgoing.timestamp.unwrap_or_else(clock::seconds),
        at: clock::millis(),
        readable: true,
        notified: false,
        retries: 0,
        edit: None,
        expiration: None,
        receipts: Vec::new(),
        protobuf: Base64Text(Vec::new()),
    };
    message.read(bytes);
    message.edit = message.content().as_ref().and_then(edit);
    let account = state.account(number)?;
    let message = account.conversations.push(message).clone();
    state.journal.write(&Record::message(number, &message));
    fan_out(network, state, &partner, &message, outgoing.garbled);
    Ok(message)
}

/// Returns a message id in the form of a phone.
fn new_id() -> String {
    let random = rand::random::<[u8; 9]>().map(|byte| format!("{byte:02X}")).concat();
    format!("3A{random}")
}

fn encode(
    account: &Account,
    partner: &ChatPartner,
    addressing: Addressing,
    outgoing: &OutgoingMessage,
) -> Vec<u8> {
    let by_id = |id: &str| account.conversations.with_id(id).find(|m| m.chat == partner.number);
    let author = |message: &ChatMessage| {
        if message.from_me { account.address(0, addressing) } else { partner.jid(addressing) }
    };
    let quoted = outgoing.quoted.as_deref().and_then(by_id);
    let context = ContentContext {
        chat: partner.jid(addressing),
        own_target: outgoing.content.target().and_then(by_id).is_none_or(|target| target.from_me),
        expiration: outgoing.expiration,
        quoted: quoted.map(|message| (message.id.clone(), author(message))),
        millis: clock::millis(),
    };
    outgoing.content.encode(&context)
}

/// Returns whether the server delivers this message.
pub(crate) fn admit(state: &mut NetworkState, from: &str, to: &str, id: &str) -> bool {
    let new = state.routed.remember((from.to_owned(), to.to_owned(), id.to_owned()));
    if new {
        let (from, to, id) = (from.into(), to.into(), id.into());
        state.journal.write(&Record::Routed { from, to, id });
    }
    new || state.routed.repeats_allowed
}

fn edit(message: &Message) -> Option<String> {
    EditAttribute::infer_from_message(message).map(|edit| edit.to_string_val().to_owned())
}

fn fan_out(
    network: &Network,
    state: &mut NetworkState,
    partner: &ChatPartner,
    message: &ChatMessage,
    garbled: bool,
) {
    let number = message.from.as_str();
    let mut recipients = Vec::new();
    for owner in [number, partner.number.as_str()] {
        let devices = state.account(owner).map(|a| a.devices.keys().copied().collect::<Vec<_>>());
        let devices = devices.unwrap_or_default().into_iter().map(|id| (owner.to_owned(), id));
        recipients.extend(devices);
        if partner.number == number {
            break;
        }
    }
    for (owner, id) in recipients {
        let Ok(account) = state.account(number) else { return };
        let copy = copy(account, partner, message, (&owner, message.addressing), 0);
        let copy = UnsealedCopy { garbled, ..copy };
        delivery::seal_and_enqueue(network, state, (&owner, id), copy);
    }
    if partner.number != number {
        let parcel = Parcel {
            seq: 0,
            id: message.id.clone(),
            from: number.to_owned(),
            device: 0,
            addressing: message.addressing,
            chat: number.to_owned(),
            chat_jid: String::new(),
            internal: false,
            timestamp: message.timestamp,
            edit: message.edit.clone(),
            body: ParcelBody::Plain(message.protobuf.clone()),
        };
        inbox::enqueue(state, &partner.number, parcel);
        inbox::receive(network, state, &partner.number);
    }
}

/// Builds a copy of a message for a device of `owner`.
fn copy(
    account: &Account,
    partner: &ChatPartner,
    message: &ChatMessage,
    (owner, addressing): (&str, Addressing),
    retry: u32,
) -> UnsealedCopy {
    let decoded = message.content();
    let head = MessageHead {
        id: &message.id,
        timestamp: message.timestamp,
        kind: decoded.as_ref().map_or("text", stanza_type_from_message),
        edit: message.edit.as_deref(),
    };
    let sender = StanzaSender { account, device: 0, addressing };
    let bytes = &message.protobuf.0;
    let (stanza, padded) = if owner == account.number {
        let wrapped =
            MessageUtils::dm_plaintexts_from_encoded(bytes, None, partner.jid(addressing));
        (sender.own_copy(&head, partner).build(), wrapped.own_devices)
    } else {
        let padded = MessageUtils::pad_with_context_from_encoded(bytes, None);
        (sender.message(&head).build(), padded)
    };
    UnsealedCopy {
        from: account.number.clone(),
        stanza,
        padded,
        media: decoded.as_ref().and_then(media_type_from_message),
        retry,
        garbled: false,
    }
}

/// Writes a message from a phone to one of its devices, outside of any chat.
pub(crate) fn send_internal(
    network: &Network,
    state: &mut NetworkState,
    number: &str,
    device: u32,
    message: &Message,
) {
    let (id, protobuf) = (network.next_id("M"), message.encode_to_vec());
    write_internal(network, state, number, InternalMessage { id, device, note: false, protobuf });
}

/// Writes a text from a phone to one of its devices, as a note without a recipient.
pub(crate) fn send_note(
    network: &Network,
    state: &mut NetworkState,
    number: &str,
    device: u32,
    text: &str,
) -> Result<(), PhoneError> {
    state.device(number, device)?;
    let note = Message { conversation: Some(text.to_owned()), ..Default::default() };
    let (id, protobuf) = (network.next_id("M"), note.encode_to_vec());
    write_internal(network, state, number, InternalMessage { id, device, note: true, protobuf });
    Ok(())
}

fn write_internal(
    network: &Network,
    state: &mut NetworkState,
    number: &str,
    message: InternalMessage,
) {
    state.journal.write(&Record::internal(number, &message));
    let Ok(account) = state.account(number) else { return };
    let (copy, device) = (internal_copy(account, &message, 0), message.device);
    account.store_internal(message);
    delivery::seal_and_enqueue(network, state, (number, device), copy);
}

fn internal_copy(account: &Account, message: &InternalMessage, retry: u32) -> UnsealedCopy {
    let stanza = NodeBuilder::new("message")
        .attr("from", account.address(0, Addressing::Pn))
        .attr("id", message.id.as_str())
        .attr("t", clock::seconds())
        .attr("type", "text")
        .attr("notify", account.name.as_str());
    let stanza = if message.note { stanza } else { stanza.attr("category", "peer") };
    UnsealedCopy {
        from: account.number.clone(),
        stanza: stanza.build(),
        padded: MessageUtils::pad_with_context_from_encoded(&message.protobuf, None),
        media: None,
        retry,
        garbled: false,
    }
}

/// A device's request to encrypt a message of a phone again.
pub(crate) struct RetryRequest<'a> {
    /// The number of the phone.
    pub(crate) phone: &'a str,
    /// The device that asks.
    pub(crate) device: (&'a str, u32),
    pub(crate) addressing: Addressing,
    pub(crate) id: &'a str,
    pub(crate) count: u32,
    pub(crate) keys: Option<PublishedKeys>,
}

/// Encrypts a message again for a device that could not decrypt the message, in a new session.
pub(crate) fn resend(network: &Network, state: &mut NetworkState, request: &RetryRequest<'_>) {
    let RetryRequest { phone, device: (owner, device), id, count, .. } = *request;
    let Ok(account) = state.account(phone) else { return };
    let is_it = |message: &&ChatMessage| {
        message.from_me && message.from_device == 0 && (owner == phone || message.chat == owner)
    };
    let message = account.conversations.with_id(id).find(is_it).cloned();
    let internal = account.internal_messages.iter().find(|m| m.id == id && m.device == device);
    let copy = match (message, internal) {
        (Some(message), _) => {
            let Ok(chat) = state.account(&message.chat) else { return };
            let partner = ChatPartner::of(chat);
            let Ok(account) = state.account(phone) else { return };
            copy(account, &partner, &message, (owner, request.addressing), count)
        }
        (None, Some(internal)) if owner == phone => internal_copy(account, internal, count),
        _ => return,
    };
    let Ok(account) = state.account(phone) else { return };
    let peer = (owner.to_owned(), device);
    account.signal.forget(&peer);
    if let Some(keys) = &request.keys
        && let Err(error) = account.signal.open_session(&peer, keys)
    {
        tracing::debug!(%error, "cannot use the keys of a retry receipt");
    }
    delivery::seal_and_enqueue(network, state, (owner, device), copy);
}

/// Marks a received message as read or played. Returns the number of messages with this id.
pub(crate) fn mark(
    network: &Network,
    state: &mut NetworkState,
    number: &str,
    id: &str,
    kind: ReceiptKind,
) -> Result<usize, PhoneError> {
    let account = state.account(number)?;
    if !account.settings.online {
        return Err(PhoneError::PhoneOffline);
    }
    let reported = account.settings.read_receipts;
    let received = account.conversations.with_id(id).filter(|message| !message.from_me);
    let received: Vec<_> = received.map(|m| (m.from.clone(), m.addressing)).collect();
    if received.is_empty() {
        return Err(PhoneError::NoSuchMessage);
    }
    let ids = [id.to_owned()];
    for (sender, addressing) in &received {
        let receipt =
            Receipt { from: (number, 0), to: sender, addressing: *addressing, ids: &ids, kind };
        if reported {
            receipts::pass_on(network, state, &receipt);
        }
        let own = if kind == ReceiptKind::Played { "played-self" } else { "read-self" };
        receipts::tell_own_devices(network, state, &receipt, own);
    }
    Ok(received.len())
}
