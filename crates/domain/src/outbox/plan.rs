//! The plan of a dispatch: which waiting messages end, which are handed over now, and when the next
//! dispatch is due.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    chat::model::{Chat, ChatId},
    message::{
        message_id::MessageId,
        state::{FailureReason, MessageFailure},
    },
    messaging::state::MessagingState,
    outbox::{
        model::{OutboxEntry, OutboxState},
        pace::Pace,
    },
    time::Timestamp,
};

/// Maximum number of messages of one hand-over.
const MAX_BATCH: usize = 50;
/// Time after which a hand-over is repeated whose result is not known.
pub(crate) const REPEAT: Duration = Duration::from_secs(15);
/// Time after which a dispatch is repeated that a node or WhatsApp prevented.
pub(crate) const RETRY: Duration = Duration::from_secs(5);
/// Time from the end of a hand-over in which the node can still report its result.
const REPORT_GRACE: Duration = Duration::from_secs(60);
/// Time until the next dispatch if a quota is exhausted that does not say until when.
const EXHAUSTED: Duration = Duration::from_secs(1);

/// What a plan depends on besides the stored messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) now: Timestamp,
    /// Time from the first hand-over after which a node gives a message up.
    pub(crate) acknowledgement: Duration,
    /// Whether a node can take messages now.
    pub(crate) is_connected: bool,
    /// How many messages may be handed over for the first time.
    pub(crate) pace: Pace,
    /// The earliest expiry of all entries that were never handed over.
    pub(crate) next_expiry: Option<Timestamp>,
}

/// What a dispatch does.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Messages that end without an acknowledgement.
    pub(crate) ended: Vec<(MessageId, MessageFailure)>,
    /// Chats without an address. WhatsApp must confirm their digits before their messages leave.
    pub(crate) unaddressed: BTreeSet<ChatId>,
    /// Messages to hand over, oldest first.
    pub(crate) handed: Vec<MessageId>,
    /// Time of the next dispatch. `None` if nothing waits.
    pub(crate) next: Option<Timestamp>,
}

impl Plan {
    fn end(&mut self, message: MessageId, reason: FailureReason) {
        self.ended.push((message, MessageFailure::of(reason)));
    }

    fn wake(&mut self, at: Timestamp) {
        self.next = Some(self.next.map_or(at, |known| known.min(at)));
    }
}

/// Returns the time after which a node neither writes the message for the first time nor again.
pub(crate) fn not_after(
    entry: &OutboxEntry,
    now: Timestamp,
    acknowledgement: Duration,
) -> Timestamp {
    entry.first_handed_at.unwrap_or(now).plus(acknowledgement).min(entry.expires_at)
}

/// Plans a dispatch of the messages of a session that wait.
pub(crate) fn plan(state: &MessagingState, circumstances: &Circumstances) -> Plan {
    let now = circumstances.now;
    let mut plan = Plan::default();
    let entries: BTreeMap<MessageId, &OutboxEntry> = state
        .messages
        .iter()
        .filter_map(|header| Some((header.id, header.entry.as_ref()?)))
        .filter(|(_, entry)| entry.state != OutboxState::Done)
        .collect();
    let mut in_flight = BTreeSet::new();
    for (id, entry) in entries.iter().filter(|(_, entry)| entry.state == OutboxState::Handed) {
        in_flight.insert(entry.chat);
        plan_repeat(&mut plan, state, circumstances, *id, entry);
    }
    let mut allowed = circumstances.pace.allowed;
    for (id, entry) in entries.iter().filter(|(_, entry)| entry.state == OutboxState::Queued) {
        if !is_of_account(state, entry) {
            plan.end(*id, FailureReason::SessionUnlinked);
        } else if entry.expires_at <= now {
            plan.end(*id, FailureReason::Expired);
        } else if circumstances.is_connected && !in_flight.contains(&entry.chat) {
            let chat = state.chats.iter().find(|chat| chat.id == entry.chat);
            if let Some(at) = waits_until(state, entry, chat).filter(|at| *at > now) {
                plan.wake(at);
            } else if chat.is_none_or(|chat| chat.address().is_none()) {
                plan.unaddressed.insert(entry.chat);
            } else if plan.handed.len() >= MAX_BATCH {
                plan.wake(now);
            } else if allowed == 0 {
                plan.wake(circumstances.pace.next().unwrap_or(now.plus(EXHAUSTED)));
            } else {
                allowed -= 1;
                in_flight.insert(entry.chat);
                plan.handed.push(*id);
            }
        }
    }
    if let Some(until) = state.row.paused_until.filter(|until| *until > now && state.row.queued > 0)
    {
        // The first contacts that wait are not known here.
        plan.wake(until);
    }
    if let Some(expiry) = circumstances.next_expiry {
        plan.wake(expiry);
    }
    if !plan.handed.is_empty() {
        plan.wake(now.plus(REPEAT));
    }
    if !plan.unaddressed.is_empty() {
        plan.wake(now.plus(RETRY));
    }
    if !plan.ended.is_empty() {
        // The next messages of their chats can leave.
        plan.wake(now);
    }
    plan
}

/// Plans the next step of a message that was handed over.
fn plan_repeat(
    plan: &mut Plan,
    state: &MessagingState,
    circumstances: &Circumstances,
    id: MessageId,
    entry: &OutboxEntry,
) {
    let now = circumstances.now;
    let end = not_after(entry, now, circumstances.acknowledgement).plus(REPORT_GRACE);
    if end <= now || !is_of_account(state, entry) {
        plan.end(id, FailureReason::Uncertain);
    } else if entry.due <= now && circumstances.is_connected {
        plan.handed.push(id);
    } else {
        plan.wake(if circumstances.is_connected { entry.due.min(end) } else { end });
    }
}

/// Returns whether a message was accepted for the account that is linked now.
fn is_of_account(state: &MessagingState, entry: &OutboxEntry) -> bool {
    state.phone.as_deref() == Some(&*entry.account)
}

/// Returns the earliest time of a first hand-over.
fn waits_until(
    state: &MessagingState,
    entry: &OutboxEntry,
    chat: Option<&Chat>,
) -> Option<Timestamp> {
    let is_first_contact = chat.is_none_or(|chat| !chat.has_inbound);
    state.row.paused_until.filter(|_| is_first_contact).max(Some(entry.due))
}

#[cfg(test)]
mod tests;
