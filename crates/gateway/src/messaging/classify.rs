//! Decides what a decrypted message becomes in the journal.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gateway_protocol::{
    ChatItem, JournalItem, MessageFlag, MessageItem, MessageSource, MessageType, UndecryptableItem,
    UndecryptableReason,
};
use wacore::types::{
    events::{DecryptFailMode, UnavailableType, UndecryptableMessage},
    message::{MessageCategory, MessageInfo},
};
use waproto::whatsapp as wa;
use whatsapp_rust::Server;

use super::{
    content::{Content, Meaning, meaning},
    names::Names,
    text::{bounded, clean_id},
};
use crate::journal::{NewItem, message_key, undecryptable_key};

/// Maximum length of a display name, in characters.
const MAX_NAME: usize = 200;
/// The user part of the address of status posts.
const STATUS_USER: &str = "status";

/// Returns the item of a message; `None` for what is no message of a chat. `known` is the other name
/// of the person of [`unnamed`](super::names::unnamed). Never panics.
pub(super) fn message(
    message: &wa::Message,
    info: &MessageInfo,
    known: Option<String>,
) -> Option<NewItem> {
    if !is_of_a_chat(info) {
        return None;
    }
    let names = Names::of(info, known);
    let Some(id) = clean_id(&info.id) else {
        return Some(undecryptable(info, names, UndecryptableReason::Invalid, false));
    };
    // No content of other people may end the task of the engine.
    match catch_unwind(AssertUnwindSafe(|| meaning(message))) {
        Ok(Meaning::Message(content)) => Some(written(info, names, id, *content)),
        Ok(Meaning::Timer(seconds)) => Some(timer(info, names, seconds)),
        Ok(Meaning::Internal) => None,
        Err(_) => {
            tracing::error!(id, "a message cannot be interpreted");
            Some(undecryptable(info, names, UndecryptableReason::Invalid, false))
        }
    }
}

/// Returns the item of a message without readable content; `None` for what is no message of a chat.
pub(super) fn unreadable(event: &UndecryptableMessage) -> Option<NewItem> {
    let info = &event.info;
    if !is_of_a_chat(info) {
        return None;
    }
    let reason = match (event.is_unavailable, event.unavailable_type) {
        (_, UnavailableType::ViewOnce) => UndecryptableReason::ViewOnce,
        (_, UnavailableType::Hosted) => UndecryptableReason::Hosted,
        (_, UnavailableType::Bot) => UndecryptableReason::Bot,
        (true, UnavailableType::Unknown) => UndecryptableReason::Unavailable,
        (false, UnavailableType::Unknown) => UndecryptableReason::Decryption,
    };
    let hidden = event.decrypt_fail_mode == DecryptFailMode::Hide;
    Some(undecryptable(info, Names::of(info, None), reason, hidden))
}

/// Returns the item of a message whose content was decrypted and lost; `None` for what is no message
/// of a chat.
pub(super) fn lost(info: &MessageInfo, known: Option<String>) -> Option<NewItem> {
    let reason = UndecryptableReason::Decryption;
    is_of_a_chat(info).then(|| undecryptable(info, Names::of(info, known), reason, false))
}

/// Returns whether a message belongs to a chat of this version: not to status posts, channels, the
/// own devices, or a broadcast list of this account.
fn is_of_a_chat(info: &MessageInfo) -> bool {
    let chat = &info.source.chat;
    let is_status = chat.server == Server::Broadcast && chat.user.as_str() == STATUS_USER;
    let is_own_list = chat.server == Server::Broadcast && info.source.is_from_me;
    info.category != MessageCategory::Peer
        && chat.server != Server::Newsletter
        && !is_status
        && !is_own_list
}

fn written(info: &MessageInfo, names: Names, id: String, content: Content) -> NewItem {
    let mut flags = content.flags;
    if info.is_offline {
        flags.push(MessageFlag::Offline);
    }
    if info.unavailable_request_id.is_some() {
        flags.push(MessageFlag::Recovered);
    }
    let key = message_key(&names.chat, names.sender.as_deref(), &id);
    let item = MessageItem {
        wa_id: id,
        chat: names.chat,
        chat_alt: names.chat_alt,
        sender: names.sender,
        sender_alt: names.sender_alt,
        sender_name: display_name(info),
        source: source(info),
        sent_at: info.timestamp.timestamp_millis(),
        message_type: content.message_type.unwrap_or(MessageType::Unknown),
        body: content.body,
        reply_to: content.reply_to,
        mentions: content.mentions,
        ephemeral_seconds: info.ephemeral_expiration,
        media: content.media,
        target: content.target,
        content: content.encoded,
        flags,
    };
    NewItem { key: Some(key), item: JournalItem::Message(Box::new(item)) }
}

fn timer(info: &MessageInfo, names: Names, seconds: u32) -> NewItem {
    JournalItem::Chat(ChatItem {
        chat: names.chat,
        chat_alt: names.chat_alt,
        ephemeral_seconds: seconds,
        changed_at: info.timestamp.timestamp_millis(),
        sender: names.sender,
    })
    .into()
}

fn undecryptable(
    info: &MessageInfo,
    names: Names,
    reason: UndecryptableReason,
    hidden: bool,
) -> NewItem {
    let wa_id = clean_id(&info.id).unwrap_or_else(|| ascii_id(&info.id));
    let key = undecryptable_key(&names.chat, names.sender.as_deref(), &wa_id);
    let item = UndecryptableItem {
        wa_id,
        chat: names.chat,
        chat_alt: names.chat_alt,
        sender: names.sender,
        sender_alt: names.sender_alt,
        sender_name: display_name(info),
        source: source(info),
        sent_at: info.timestamp.timestamp_millis(),
        reason,
        hidden,
    };
    NewItem { key: Some(key), item: JournalItem::Undecryptable(item) }
}

/// Returns the visible characters of an id that no known client sends.
fn ascii_id(id: &str) -> String {
    let visible: String = id.chars().filter(char::is_ascii_graphic).take(120).collect();
    format!("?{visible}")
}

fn display_name(info: &MessageInfo) -> Option<String> {
    let name = info.verified_name.as_ref().and_then(|verified| verified.name.as_deref());
    let name = name.filter(|name| !name.is_empty()).unwrap_or(&info.push_name);
    let is_named = !info.source.is_from_me && !name.is_empty();
    is_named.then(|| bounded(name, MAX_NAME))
}

fn source(info: &MessageInfo) -> MessageSource {
    match (info.source.is_from_me, info.source.sender.device) {
        (false, _) => MessageSource::Contact,
        (true, 0) => MessageSource::Phone,
        (true, _) => MessageSource::OtherDevice,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use proptest::prelude::*;
    use wacore::types::message::MessageSource as EngineSource;
    use waproto::buffa::MessageField;

    fn info(id: &str) -> MessageInfo {
        let source = EngineSource {
            chat: "99@lid".parse().unwrap(),
            sender: "99:2@lid".parse().unwrap(),
            ..EngineSource::default()
        };
        let push_name = "Ann\u{7}".to_owned();
        MessageInfo { id: id.to_owned(), source, push_name, ..MessageInfo::default() }
    }

    fn text(body: &str) -> wa::Message {
        wa::Message { conversation: Some(body.to_owned()), ..wa::Message::default() }
    }

    fn wrapped(inner: wa::Message) -> wa::Message {
        let wrapper = wa::message::FutureProofMessage { message: MessageField::some(inner) };
        let ephemeral_message = MessageField::some(wrapper);
        wa::Message { ephemeral_message, ..wa::Message::default() }
    }

    fn item(content: &wa::Message, info: &MessageInfo) -> Option<MessageItem> {
        match message(content, info, None)?.item {
            JournalItem::Message(item) => Some(*item),
            _ => None,
        }
    }

    #[test]
    fn message_that_the_phone_sent_again_is_marked_and_has_the_key_of_the_message() {
        let first = message(&text("hi"), &info("A"), None).unwrap();
        let again = MessageInfo { unavailable_request_id: Some("R".to_owned()), ..info("A") };
        assert_eq!(message(&text("hi"), &again, None).unwrap().key, first.key);
        let again = item(&text("hi"), &again).unwrap();
        assert_eq!(again.flags, [MessageFlag::Recovered]);
        assert_eq!(again.sender_name.as_deref(), Some("Ann"));
    }

    #[test]
    fn what_belongs_to_no_chat_is_no_item() {
        let internal = wa::message::ProtocolMessage::default();
        let keys = wa::Message {
            protocol_message: MessageField::some(internal),
            ..wa::Message::default()
        };
        assert!(message(&keys, &info("A"), None).is_none());
        let peer = MessageInfo { category: MessageCategory::Peer, ..info("A") };
        assert!(message(&text("hi"), &peer, None).is_none());
        for chat in ["status@broadcast", "7@newsletter"] {
            let mut elsewhere = info("A");
            elsewhere.source.chat = chat.parse().unwrap();
            assert!(message(&text("hi"), &elsewhere, None).is_none(), "{chat}");
        }
    }

    #[test]
    fn odd_ids_and_unknown_kinds_are_counted() {
        let odd = message(&text("hi"), &info("a b"), None).unwrap().item;
        let JournalItem::Undecryptable(odd) = odd else { panic!("{odd:?}") };
        assert_eq!((odd.wa_id.as_str(), odd.reason), ("?ab", UndecryptableReason::Invalid));
        let unknown = item(&wa::Message::default(), &info("A")).unwrap();
        assert_eq!((unknown.message_type, unknown.body), (MessageType::Unknown, None));
    }

    #[test]
    fn wrappers_are_removed_up_to_a_depth() {
        let nested = |depth| (0..depth).fold(text("deep"), |inner, _| wrapped(inner));
        assert_eq!(item(&nested(8), &info("A")).unwrap().body.as_deref(), Some("deep"));
        assert_eq!(item(&nested(9), &info("A")).unwrap().message_type, MessageType::Unknown);
    }

    #[test]
    fn unreadable_messages_have_their_reasons() {
        for (is_unavailable, kind, reason) in [
            (false, UnavailableType::Unknown, UndecryptableReason::Decryption),
            (true, UnavailableType::Unknown, UndecryptableReason::Unavailable),
            (true, UnavailableType::ViewOnce, UndecryptableReason::ViewOnce),
            (true, UnavailableType::Hosted, UndecryptableReason::Hosted),
            (true, UnavailableType::Bot, UndecryptableReason::Bot),
        ] {
            let event = UndecryptableMessage::builder()
                .info(Arc::new(info("A")))
                .is_unavailable(is_unavailable)
                .unavailable_type(kind)
                .decrypt_fail_mode(DecryptFailMode::Hide)
                .build();
            let item = unreadable(&event).unwrap().item;
            let JournalItem::Undecryptable(item) = item else { panic!("{item:?}") };
            assert_eq!((item.reason, item.hidden), (reason, true));
        }
    }

    proptest! {
        #[test]
        fn any_decoded_message_is_classified(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(content) = waproto::codec::message_decode(&bytes) {
                message(&content, &info("A"), None);
            }
        }
    }
}
