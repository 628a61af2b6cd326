//! Items of a journal as facts of the domain.

use domain::{
    AckLevel, AddonTarget, AddressPair, ChatAddress, ContactFact, InboundMessage, InboundReceipt,
    JournalFact, MediaInfo, MessageDetails, MessageKind, MessageOrigin, MessageSource, OutboxId,
    QuotedMessage, ReceiptLevel, SendOutcome, SendResult, ServerAck, TimerFact, Timestamp,
    UndecryptableMessage, WaMessageId,
};
use gateway_protocol as protocol;

/// The part of an item that is not valid.
type Invalid = &'static str;

const CHAT: Invalid = "address of the chat";
const SENDER: Invalid = "address of the sender";
const OUTBOX: Invalid = "id in the outbox";

/// Returns the fact of an item that the node wrote at `at`.
///
/// # Errors
/// The part of the item that is not valid.
pub(super) fn read(item: protocol::JournalItem, at: Timestamp) -> Result<JournalFact, Invalid> {
    use protocol::JournalItem as Item;
    Ok(match item {
        Item::Message(item) => JournalFact::Message(Box::new(message(*item)?)),
        Item::Undecryptable(item) => JournalFact::Undecryptable(Box::new(undecryptable(item)?)),
        Item::Ack(item) => JournalFact::Ack(ServerAck {
            outbox: OutboxId::parse(&item.outbox).ok_or(OUTBOX)?,
            wa_id: WaMessageId::cleaned(&item.wa_id),
            at: item.sent_at.map_or(at, Timestamp::from_millis),
            refusal: item.code.map(|code| u16::try_from(code).unwrap_or(u16::MAX)),
        }),
        Item::Receipt(item) => match level(item.level) {
            Some(level) => JournalFact::Receipt(receipt(&item, level)?),
            None => JournalFact::Unknown,
        },
        Item::Contact(item) => {
            JournalFact::Contacts(item.contacts.into_iter().map(contact).collect())
        }
        Item::Chat(item) => JournalFact::Timer(TimerFact {
            chat: pair(&item.chat, item.chat_alt.as_deref()).ok_or(CHAT)?,
            seconds: item.ephemeral_seconds,
            changed_at: Timestamp::from_millis(item.changed_at),
        }),
        Item::SendResult(item) => match outcome(&item) {
            Some(outcome) => JournalFact::SendResult(SendResult {
                outbox: OutboxId::parse(&item.outbox).ok_or(OUTBOX)?,
                wa_id: WaMessageId::cleaned(&item.wa_id),
                outcome,
            }),
            None => JournalFact::Unknown,
        },
        Item::Unknown => JournalFact::Unknown,
    })
}

fn message(item: protocol::MessageItem) -> Result<InboundMessage, Invalid> {
    let has = |flag| item.flags.contains(&flag);
    Ok(InboundMessage {
        origin: MessageOrigin {
            wa_id: WaMessageId::cleaned(&item.wa_id),
            chat: pair(&item.chat, item.chat_alt.as_deref()).ok_or(CHAT)?,
            sender: sender(item.sender.as_deref(), item.sender_alt.as_deref())?,
            sender_name: item.sender_name.clone(),
            source: source(item.source),
            sent_at: Timestamp::from_millis(item.sent_at),
        },
        kind: kind(item.message_type),
        forwarded: has(protocol::MessageFlag::Forwarded),
        view_once: has(protocol::MessageFlag::ViewOnce),
        offline: has(protocol::MessageFlag::Offline),
        ephemeral_seconds: item.ephemeral_seconds.unwrap_or_default(),
        details: MessageDetails {
            body_truncated: has(protocol::MessageFlag::BodyTruncated),
            body: item.body,
            media: item.media.map(media),
            mentions: item.mentions,
            reply_to: item.reply_to.map(quoted),
            target: item.target.map(target),
        },
        content: item.content.map(|content| content.0),
    })
}

fn undecryptable(item: protocol::UndecryptableItem) -> Result<UndecryptableMessage, Invalid> {
    Ok(UndecryptableMessage {
        origin: MessageOrigin {
            wa_id: WaMessageId::cleaned(&item.wa_id),
            chat: pair(&item.chat, item.chat_alt.as_deref()).ok_or(CHAT)?,
            sender: sender(item.sender.as_deref(), item.sender_alt.as_deref())?,
            sender_name: item.sender_name,
            source: source(item.source),
            sent_at: Timestamp::from_millis(item.sent_at),
        },
        reason: reason(item.reason).to_owned(),
        hidden: item.hidden,
    })
}

fn receipt(item: &protocol::ReceiptItem, level: ReceiptLevel) -> Result<InboundReceipt, Invalid> {
    let participant = item.participant.as_deref();
    Ok(InboundReceipt {
        chat: pair(&item.chat, item.chat_alt.as_deref()).ok_or(CHAT)?,
        participant: sender(participant, item.participant_alt.as_deref())?,
        wa_ids: item.ids.iter().map(|id| WaMessageId::cleaned(id)).collect(),
        level,
        at: Timestamp::from_millis(item.received_at),
    })
}

fn contact(names: protocol::ContactNames) -> ContactFact {
    ContactFact {
        phone: names.phone.and_then(|phone| ChatAddress::parse(&format!("{phone}@s.whatsapp.net"))),
        lid: names.lid.and_then(|lid| ChatAddress::parse(&format!("{lid}@lid"))),
        name: names.name,
    }
}

/// Returns an address with the other one of the same chat or person. A second address that is not
/// valid, or that is of the same kind, is ignored.
fn pair(used: &str, other: Option<&str>) -> Option<AddressPair> {
    let used = ChatAddress::parse(used)?;
    let is_other = |other: &ChatAddress| {
        std::mem::discriminant(other) != std::mem::discriminant(&used) && !other.is_group()
    };
    let other = other.and_then(ChatAddress::parse).filter(is_other);
    Some(AddressPair { other: other.filter(|_| !used.is_group()), used })
}

fn sender(used: Option<&str>, other: Option<&str>) -> Result<Option<AddressPair>, Invalid> {
    used.map(|used| pair(used, other).ok_or(SENDER)).transpose()
}

fn quoted(quoted: protocol::QuotedMessage) -> QuotedMessage {
    QuotedMessage { wa_id: WaMessageId::cleaned(&quoted.id), sender: quoted.sender }
}

fn target(target: protocol::TargetMessage) -> AddonTarget {
    let protocol::TargetMessage { id, chat, sender, from_me } = target;
    AddonTarget { wa_id: WaMessageId::cleaned(&id), chat, sender, from_me }
}

fn media(media: protocol::MediaDescription) -> MediaInfo {
    let protocol::MediaDescription {
        mime_type,
        size,
        sha256,
        file_name,
        width,
        height,
        seconds,
        voice,
    } = media;
    MediaInfo { mime_type, size, sha256, file_name, width, height, seconds, voice }
}

fn source(source: protocol::MessageSource) -> MessageSource {
    match source {
        protocol::MessageSource::Contact => MessageSource::Contact,
        protocol::MessageSource::Phone => MessageSource::Phone,
        protocol::MessageSource::OtherDevice => MessageSource::OtherDevice,
    }
}

fn kind(kind: protocol::MessageType) -> MessageKind {
    use protocol::MessageType as Type;
    match kind {
        Type::Text => MessageKind::Text,
        Type::Image => MessageKind::Image,
        Type::Video => MessageKind::Video,
        Type::Audio => MessageKind::Audio,
        Type::Document => MessageKind::Document,
        Type::Sticker => MessageKind::Sticker,
        Type::Location => MessageKind::Location,
        Type::Contact => MessageKind::Contact,
        Type::Poll => MessageKind::Poll,
        Type::Reaction => MessageKind::Reaction,
        Type::Edit => MessageKind::Edit,
        Type::Revoke => MessageKind::Revoke,
        Type::Vote => MessageKind::Vote,
        Type::Unknown => MessageKind::Unknown,
    }
}

fn reason(reason: protocol::UndecryptableReason) -> &'static str {
    use protocol::UndecryptableReason as Reason;
    match reason {
        Reason::Decryption => "decryption",
        Reason::Unavailable => "unavailable",
        Reason::ViewOnce => "view_once",
        Reason::Hosted => "hosted",
        Reason::Bot => "bot",
        Reason::Invalid => "invalid",
    }
}

fn level(level: protocol::ReceiptLevel) -> Option<ReceiptLevel> {
    use protocol::ReceiptLevel as Level;
    Some(match level {
        Level::Delivered => ReceiptLevel::Receiver(AckLevel::Delivered),
        Level::Read => ReceiptLevel::Receiver(AckLevel::Read),
        Level::Played => ReceiptLevel::Receiver(AckLevel::Played),
        Level::ReadSelf => ReceiptLevel::Account(AckLevel::Read),
        Level::PlayedSelf => ReceiptLevel::Account(AckLevel::Played),
        Level::Unknown => return None,
    })
}

/// Returns the fate of a message; `None` for a state that is not final.
fn outcome(item: &protocol::SendResultItem) -> Option<SendOutcome> {
    use protocol::SendState as State;
    Some(match item.state {
        State::Sent => SendOutcome::Sent,
        State::Expired => SendOutcome::Expired,
        State::Uncertain => SendOutcome::Uncertain,
        State::Cancelled => SendOutcome::Cancelled,
        State::Failed
            if item.code.as_deref() == Some(protocol::send_failure::ENCRYPTION_FAILED) =>
        {
            SendOutcome::EncryptionFailed
        }
        State::Failed | State::Rejected => SendOutcome::Invalid,
        State::Queued | State::Written => return None,
    })
}
