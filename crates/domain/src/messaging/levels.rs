//! Acknowledgements and receipts: levels of messages, and the outcome of sending.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    chat::model::ChatId,
    id::WaMessageId,
    message::{
        kind::MessageSource,
        message_id::MessageId,
        model::MessageSender,
        state::{AckLevel, FailureReason, MessageFailure, MessageState},
    },
    messaging::{
        change::MessageUpdate,
        draft::Draft,
        journal::{InboundReceipt, ReceiptLevel, SendOutcome, SendResult, ServerAck},
        state::MessageHeader,
    },
    outbox::model::{OutboxEntry, OutboxState},
    time::Timestamp,
};

/// Code of WhatsApp: the account may not begin new conversations now.
const REACHOUT_LIMITED: u16 = 463;
/// Code of WhatsApp: the receiver has no device.
const NO_RECIPIENT: u16 = 404;
/// Code of WhatsApp: the server cannot take the message now.
const SERVER_BUSY: u16 = 503;
/// Time for which first contacts pause after a refusal.
const REACHOUT_PAUSE: Duration = Duration::from_secs(60 * 60);
/// Time after which a message is handed over again that WhatsApp could not take.
const BUSY_PAUSE: Duration = Duration::from_secs(30);

impl Draft<'_> {
    /// Applies WhatsApp's answer to a message of berth.
    pub(crate) fn apply_ack(&mut self, ack: &ServerAck) {
        let entry = self.entry_of(&ack.wa_id, |entry| entry.id == ack.outbox);
        let Some(id) = entry else { return };
        match ack.refusal {
            None => self.raise(id, AckLevel::Sent),
            Some(SERVER_BUSY) => self.queue_again(id, self.now.plus(BUSY_PAUSE)),
            Some(code) => self.refuse(id, code),
        }
    }

    /// Applies the fate of a message at its node.
    pub(crate) fn apply_send_result(&mut self, result: &SendResult) {
        let entry = self.entry_of(&result.wa_id, |entry| entry.id == result.outbox);
        let Some(id) = entry else { return };
        let reason = match result.outcome {
            SendOutcome::Sent => return self.raise(id, AckLevel::Sent),
            // The node gives up a message earlier than its owner does.
            SendOutcome::Expired if !self.is_expired(id) => return self.queue_again(id, self.now),
            SendOutcome::Expired => FailureReason::Expired,
            SendOutcome::Uncertain => FailureReason::Uncertain,
            SendOutcome::Cancelled => FailureReason::Cancelled,
            SendOutcome::EncryptionFailed => FailureReason::EncryptionFailed,
            SendOutcome::Invalid => FailureReason::Internal,
        };
        self.fail(id, MessageFailure::of(reason));
    }

    /// Applies a receipt. A receipt of a member of a group changes no level: other members may not
    /// have the message.
    pub(crate) fn apply_receipt(&mut self, receipt: &InboundReceipt) {
        match receipt.level {
            ReceiptLevel::Receiver(level) => {
                let chat = self.unify(receipt.chat.iter());
                let is_of_member = receipt.participant.is_some();
                let Some(chat) = chat.filter(|_| !is_of_member) else { return };
                let is_own = |header: &MessageHeader| {
                    header.chat == chat && header.sender == MessageSender::Account
                };
                for id in self.with_ids(&receipt.wa_ids, is_own) {
                    self.raise(id, level);
                }
            }
            // WhatsApp names the account as the chat, so that the ids alone find the messages.
            ReceiptLevel::Account(level) => {
                let is_received = |header: &MessageHeader| header.sender != MessageSender::Account;
                let ids = self.with_ids(&receipt.wa_ids, is_received);
                self.read_all(&ids, level);
            }
        }
    }

    /// Returns the messages with one of these ids at WhatsApp that meet a condition.
    fn with_ids(
        &self,
        wa_ids: &[WaMessageId],
        condition: impl Fn(&MessageHeader) -> bool,
    ) -> Vec<MessageId> {
        let matching = self
            .headers
            .values()
            .filter(|header| wa_ids.contains(&header.wa_id) && condition(header));
        matching.map(|header| header.id).collect()
    }

    /// Raises received messages that the account read, and lowers the counts of their chats.
    pub(crate) fn read_all(&mut self, ids: &[MessageId], level: AckLevel) {
        let mut read: BTreeMap<ChatId, u64> = BTreeMap::new();
        for id in ids {
            let Some(chat) = self.headers.get(id).map(|header| header.chat) else { continue };
            *read.entry(chat).or_default() += u64::from(self.mark_read(*id, level));
        }
        for (id, count) in read.into_iter().filter(|(_, count)| *count > 0) {
            if let Some(chat) = self.change_chat(id) {
                chat.unread = chat.unread.saturating_sub(count);
            }
            self.report_chat(id, None);
        }
    }

    /// Raises a received message that the account read. Returns whether the message was unread.
    fn mark_read(&mut self, id: MessageId, level: AckLevel) -> bool {
        let Some(header) = self.headers.get(&id) else { return false };
        let (was, is_listed) = (header.state, !header.flags.hidden);
        let Some(next) = was.raised(level) else { return false };
        self.set_state(id, next);
        is_listed && was == MessageState::Reached(AckLevel::Delivered) && level >= AckLevel::Read
    }

    /// Raises the level of a message of the account.
    pub(crate) fn raise(&mut self, id: MessageId, level: AckLevel) {
        let next = self.headers.get(&id).and_then(|header| header.state.raised(level));
        if let Some(next) = next {
            self.settle(id, next);
        }
    }

    /// Ends a message that was not sent.
    pub(crate) fn fail(&mut self, id: MessageId, failure: MessageFailure) {
        let next = self.headers.get(&id).and_then(|header| header.state.failed(failure));
        if let Some(next) = next {
            self.settle(id, next);
        }
    }

    /// Changes the state of a message of the account, ends its entry in the outbox, and reports the
    /// change.
    fn settle(&mut self, id: MessageId, next: MessageState) {
        let Some(header) = self.headers.get(&id).cloned() else { return };
        if let Some(entry) = header.entry.clone().filter(|entry| entry.state != OutboxState::Done) {
            self.row.queued = self.row.queued.saturating_sub(1);
            if self.row.queued == 0 {
                self.row.outbox_due = None;
            } else {
                // The next message of the chat can be handed over.
                self.dispatch_soon();
            }
            self.replace_entry(OutboxEntry { state: OutboxState::Done, ..entry });
        }
        self.set_state(id, next);
        let payload = self.status_event(&header, next);
        self.add_event(payload);
    }

    fn set_state(&mut self, id: MessageId, state: MessageState) {
        if let Some(header) = self.headers.get_mut(&id) {
            header.state = state;
        }
        if let Some(message) = self.new_messages.get_mut(&id) {
            message.state = state;
            return;
        }
        let updated_at = self.now;
        let update = MessageUpdate { id, state, updated_at, recovered: None };
        self.updates.entry(id).and_modify(|update| update.state = state).or_insert(update);
    }

    /// Returns the message of an entry of the outbox.
    fn entry_of(
        &self,
        wa_id: &WaMessageId,
        is_entry: impl Fn(&OutboxEntry) -> bool,
    ) -> Option<MessageId> {
        let own = self.headers.values().filter(|header| {
            header.source == MessageSource::Api
                && header.wa_id == *wa_id
                && header.entry.as_ref().is_some_and(&is_entry)
        });
        own.map(|header| header.id).next()
    }

    fn refuse(&mut self, id: MessageId, code: u16) {
        let (reason, retry_at) = match code {
            REACHOUT_LIMITED => {
                let until = self.now.plus(REACHOUT_PAUSE);
                self.row.paused_until = self.row.paused_until.max(Some(until));
                (FailureReason::ReachoutLimited, Some(until))
            }
            NO_RECIPIENT => (FailureReason::RecipientUnavailable, None),
            _ => (FailureReason::Rejected, None),
        };
        self.fail(id, MessageFailure { reason, code: Some(code), retry_at });
    }

    /// Returns whether a message is not to be sent any more.
    fn is_expired(&self, id: MessageId) -> bool {
        let entry = self.headers.get(&id).and_then(|header| header.entry.as_ref());
        entry.is_none_or(|entry| entry.expires_at <= self.now)
    }

    /// Queues a message again that was handed over and that WhatsApp does not have.
    pub(crate) fn queue_again(&mut self, id: MessageId, due: Timestamp) {
        let entry = self.headers.get(&id).and_then(|header| header.entry.clone());
        let Some(entry) = entry.filter(|entry| entry.state == OutboxState::Handed) else { return };
        self.dispatch_at(due);
        let first_handed_at = None;
        self.replace_entry(OutboxEntry {
            state: OutboxState::Queued,
            due,
            first_handed_at,
            ..entry
        });
    }
}
