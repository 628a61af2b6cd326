//! Handles the engine's events about messages: receipts, answers, what cannot be read, and the state
//! of the connection. Nothing here waits.

use std::{sync::Arc, time::Duration};

use gateway_protocol::{JournalItem, ReceiptItem, ReceiptLevel};
use wacore::types::{
    events::{Event, EventHandler, EventInterest, EventKind, MessageBatch, Receipt, ServerAck},
    presence::ReceiptType,
};
use whatsapp_rust::Server;

use super::{
    classify, engine_wire::EngineWire, feed::SessionFeed, names::person, sender::MessageSender,
    text::clean_id,
};

/// Time in which the engine has shown the account as online after it learned the name.
const NAME_DELAY: Duration = Duration::from_secs(2);
/// The class of WhatsApp's answers to messages.
const MESSAGE_CLASS: &str = "message";

/// The events of one connection.
pub(crate) struct MessageEvents {
    pub(crate) feed: Arc<SessionFeed>,
    pub(crate) sender: Arc<MessageSender>,
    pub(crate) wire: Arc<EngineWire>,
}

impl EventHandler for MessageEvents {
    fn handle_event(&self, event: Arc<Event>) {
        match &*event {
            Event::Connected(_) => {
                self.sender.connected(self.wire.clone());
                self.wire.presence.hide_after(Duration::ZERO);
            }
            // After this event, the engine shows the account as online.
            Event::SelfPushNameUpdated(_) => self.wire.presence.hide_after(NAME_DELAY),
            Event::Disconnected(_) => self.sender.disconnected(),
            Event::OfflineSyncCompleted(_) => self.sender.drained(),
            Event::Messages(batch) => self.on_messages(batch),
            Event::UndecryptableMessage(event) => {
                if let Some(item) = classify::unreadable(event) {
                    self.feed.append_event(item);
                }
            }
            Event::Receipt(receipt) => self.on_receipt(receipt),
            Event::ServerAck(ack) => self.on_answer(ack),
            _ => {}
        }
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(&[
            EventKind::Connected,
            EventKind::SelfPushNameUpdated,
            EventKind::Disconnected,
            EventKind::OfflineSyncCompleted,
            EventKind::Messages,
            EventKind::UndecryptableMessage,
            EventKind::Receipt,
            EventKind::ServerAck,
        ])
    }
}

impl MessageEvents {
    /// Takes the messages that the phone sent again: the engine gives them to no hook.
    fn on_messages(&self, batch: &MessageBatch) {
        if batch.hook_committed {
            return;
        }
        for inbound in batch {
            if let Some(item) = classify::message(&inbound.message, &inbound.info, None) {
                self.feed.append_event(item);
            }
        }
    }

    fn on_answer(&self, ack: &ServerAck) {
        if ack.class.as_deref().is_some_and(|class| class != MESSAGE_CLASS) {
            return;
        }
        // An answer with an error that is no number is a refusal all the same.
        let code = ack.error.as_deref().map(|code| code.parse().unwrap_or(0));
        let sent_at = ack.timestamp.map(|at| at.timestamp_millis());
        self.sender.on_answer(&ack.id, code, sent_at);
    }

    fn on_receipt(&self, receipt: &Receipt) {
        let Some(level) = level(&receipt.r#type) else { return };
        let source = &receipt.source;
        let is_own = self.is_own_account(&person(&source.sender));
        let by_owner = matches!(level, ReceiptLevel::ReadSelf | ReceiptLevel::PlayedSelf);
        // The own devices confirm their copies of a message, which says nothing of its recipient.
        if is_own && !by_owner {
            return;
        }
        let ids: Vec<String> = receipt.message_ids.iter().filter_map(|id| clean_id(id)).collect();
        if ids.is_empty() {
            return;
        }
        self.sender.on_receipt(&ids, level);
        let is_group = source.chat.server == Server::Group;
        let alt = source.sender_alt.as_ref().map(person);
        let (chat_alt, participant_alt) = if is_group { (None, alt) } else { (alt, None) };
        let item = ReceiptItem {
            chat: person(&source.chat),
            chat_alt,
            participant: is_group.then(|| person(&source.sender)),
            participant_alt,
            ids,
            level,
            received_at: receipt.timestamp.timestamp_millis(),
            offline: receipt.offline,
        };
        self.feed.append_receipt(JournalItem::Receipt(item));
    }

    fn is_own_account(&self, name: &str) -> bool {
        let Some(client) = self.wire.client.upgrade() else { return false };
        [client.pn(), client.lid()].iter().flatten().any(|own| person(own) == name)
    }
}

/// Returns what a receipt says of a message; `None` for receipts between devices.
fn level(receipt: &ReceiptType) -> Option<ReceiptLevel> {
    match receipt {
        ReceiptType::Delivered => Some(ReceiptLevel::Delivered),
        ReceiptType::Read => Some(ReceiptLevel::Read),
        ReceiptType::Played => Some(ReceiptLevel::Played),
        ReceiptType::ReadSelf => Some(ReceiptLevel::ReadSelf),
        ReceiptType::PlayedSelf => Some(ReceiptLevel::PlayedSelf),
        _ => None,
    }
}
