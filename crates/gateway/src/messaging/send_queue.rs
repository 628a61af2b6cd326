//! The messages that a session sends: in order for each chat, and known by their ids for some time
//! after their end.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use gateway_protocol::{
    AckItem, CancelOutcome, OutgoingMessage, RefusedCode, SendState, TakenMessage, send_failure,
};
use tokio::{sync::watch, time::Instant};

/// Messages of a session that have not ended.
const MAX_HELD: usize = 1_000;
/// Bounds of the messages that have ended: their number, and the time for which the router may
/// repeat them.
const MAX_ENDED: usize = 2_000;
const ENDED_TTL: Duration = Duration::from_secs(15 * 60);
/// WhatsApp's code for a service that is unavailable for a moment; the message may be sent again.
const TRY_LATER: u32 = 503;

/// The messages of one session.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    entries: HashMap<String, Entry>,
    outbox_by_wa_id: HashMap<String, String>,
    /// The waiting messages of each chat whose task runs.
    lanes: HashMap<i64, VecDeque<String>>,
    /// The messages that have ended, oldest first.
    ended: VecDeque<(Instant, String)>,
    held: usize,
}

#[derive(Debug)]
struct Entry {
    wa_id: String,
    state: SendState,
    code: Option<String>,
    /// Whether WhatsApp's answer was reported.
    answered: bool,
    /// `None` after the end.
    job: Option<(Arc<OutgoingMessage>, Instant)>,
    progress: watch::Sender<Progress>,
}

/// What is known of a message besides its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing.
    Waiting,
    /// WhatsApp asks to try again later.
    TryLater,
    /// The message has ended.
    Ended,
}

/// A message whose turn it is.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) message: Arc<OutgoingMessage>,
    /// Nothing is written after this time.
    pub(super) deadline: Instant,
    pub(super) progress: watch::Receiver<Progress>,
}

/// What became of a submitted message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Submission {
    /// The message is queued; `starts_lane`: the task of its chat has to be started.
    Queued {
        starts_lane: bool,
    },
    /// The message is known.
    Known(TakenMessage),
    Refused(RefusedCode),
}

impl SendQueue {
    /// Queues a message, unless its id is known.
    pub(super) fn submit(&mut self, message: OutgoingMessage, deadline: Instant) -> Submission {
        self.evict();
        if let Some(entry) = self.entries.get(&message.outbox) {
            return Submission::Known(entry.taken(&message.outbox));
        }
        if self.held >= MAX_HELD {
            return Submission::Refused(RefusedCode::QueueFull);
        }
        let (outbox, chat) = (message.outbox.clone(), message.chat);
        self.outbox_by_wa_id.insert(message.wa_id.clone(), outbox.clone());
        let entry = Entry {
            wa_id: message.wa_id.clone(),
            state: SendState::Queued,
            code: None,
            answered: false,
            job: Some((Arc::new(message), deadline)),
            progress: watch::Sender::new(Progress::Waiting),
        };
        self.entries.insert(outbox.clone(), entry);
        self.held += 1;
        let starts_lane = !self.lanes.contains_key(&chat);
        self.lanes.entry(chat).or_default().push_back(outbox);
        Submission::Queued { starts_lane }
    }

    /// Returns a known message with its state.
    pub(super) fn known(&self, outbox: &str) -> Option<TakenMessage> {
        self.entries.get(outbox).map(|entry| entry.taken(outbox))
    }

    /// Returns the next message of a chat. `None` ends the task of the chat.
    pub(super) fn next(&mut self, chat: i64) -> Option<Job> {
        while let Some(outbox) = self.lanes.get_mut(&chat).and_then(VecDeque::pop_front) {
            let Some(entry) = self.entries.get(&outbox) else { continue };
            if let Some((message, deadline)) = entry.job.clone() {
                return Some(Job { message, deadline, progress: entry.progress.subscribe() });
            }
        }
        self.lanes.remove(&chat);
        None
    }

    /// Records that the message is about to be written. Returns whether it may be: whether it has
    /// not ended.
    pub(super) fn begin_writing(&mut self, outbox: &str) -> bool {
        let Some(entry) = self.entries.get_mut(outbox).filter(|entry| entry.job.is_some()) else {
            return false;
        };
        entry.state = SendState::Written;
        entry.progress.send_replace(Progress::Waiting);
        true
    }

    /// Records that the message was not written after all.
    pub(super) fn not_written(&mut self, outbox: &str) {
        if let Some(entry) = self.entries.get_mut(outbox)
            && entry.state == SendState::Written
        {
            entry.state = SendState::Queued;
        }
    }

    /// Records an answer of WhatsApp. Returns the item for the journal, if the answer is to one of
    /// these messages and new.
    pub(super) fn answer(
        &mut self,
        wa_id: &str,
        code: Option<u32>,
        sent_at: Option<i64>,
    ) -> Option<AckItem> {
        let outbox = self.outbox_by_wa_id.get(wa_id)?.clone();
        let entry = self.entries.get_mut(&outbox)?;
        if code == Some(TRY_LATER) && entry.job.is_some() {
            entry.progress.send_replace(Progress::TryLater);
            return None;
        }
        // A receipt may overtake the answer. A refusal of a message that arrived concerns a repetition.
        let is_refusal_of_sent = code.is_some() && entry.state == SendState::Sent;
        if std::mem::replace(&mut entry.answered, true) || is_refusal_of_sent {
            return None;
        }
        let reason = code.map(|code| reason(code).to_owned());
        let state = if code.is_none() { SendState::Sent } else { SendState::Rejected };
        let item = AckItem {
            outbox: outbox.clone(),
            wa_id: wa_id.to_owned(),
            sent_at,
            code,
            reason: reason.clone(),
        };
        self.end(&outbox, state, reason);
        Some(item)
    }

    /// Returns the outbox ids of written messages without an answer among these.
    pub(super) fn unanswered(&self, wa_ids: &[String]) -> Vec<String> {
        let written =
            |outbox: &&String| self.entries.get(*outbox).is_some_and(|entry| entry.job.is_some());
        let outboxes = wa_ids.iter().filter_map(|wa_id| self.outbox_by_wa_id.get(wa_id));
        outboxes.filter(written).cloned().collect()
    }

    /// Ends a message. Returns its id at WhatsApp, if the message had not ended.
    pub(super) fn end(
        &mut self,
        outbox: &str,
        state: SendState,
        code: Option<String>,
    ) -> Option<String> {
        let entry = self.entries.get_mut(outbox)?;
        let was_held = entry.job.take().is_some();
        if was_held || matches!(state, SendState::Sent | SendState::Rejected) {
            (entry.state, entry.code) = (state, code);
        }
        entry.progress.send_replace(Progress::Ended);
        if was_held {
            self.held -= 1;
            self.ended.push_back((Instant::now(), outbox.to_owned()));
        }
        was_held.then(|| entry.wa_id.clone())
    }

    /// Cancels a message that is not written. An unknown one is refused from now on.
    pub(super) fn cancel(&mut self, outbox: &str) -> CancelOutcome {
        self.evict();
        match self.entries.get(outbox).map(|entry| entry.state) {
            Some(SendState::Queued) => {
                self.end(outbox, SendState::Cancelled, None);
                CancelOutcome::Gone
            }
            Some(SendState::Cancelled) => CancelOutcome::Gone,
            Some(_) => CancelOutcome::TooLate,
            None => {
                let entry = Entry {
                    wa_id: String::new(),
                    state: SendState::Cancelled,
                    code: None,
                    answered: false,
                    job: None,
                    progress: watch::Sender::new(Progress::Ended),
                };
                self.entries.insert(outbox.to_owned(), entry);
                self.ended.push_back((Instant::now(), outbox.to_owned()));
                CancelOutcome::Unknown
            }
        }
    }

    /// Forgets all messages.
    pub(super) fn clear(&mut self) {
        for entry in self.entries.values() {
            entry.progress.send_replace(Progress::Ended);
        }
        // The tasks of the chats find no message and end.
        self.lanes.values_mut().for_each(VecDeque::clear);
        self.entries.clear();
        self.outbox_by_wa_id.clear();
        self.ended.clear();
        self.held = 0;
    }

    fn evict(&mut self) {
        while let Some((since, _)) = self.ended.front()
            && (self.ended.len() > MAX_ENDED || since.elapsed() > ENDED_TTL)
            && let Some((_, outbox)) = self.ended.pop_front()
            && let Some(entry) = self.entries.remove(&outbox)
        {
            self.outbox_by_wa_id.remove(&entry.wa_id);
        }
    }
}

impl Entry {
    fn taken(&self, outbox: &str) -> TakenMessage {
        TakenMessage { outbox: outbox.to_owned(), state: self.state, code: self.code.clone() }
    }
}

/// Returns the meaning of WhatsApp's error code. The codes are those that the engine's sources name
/// (`client/node_io.rs`, `send/mod.rs` of version 0.7.0).
fn reason(code: u32) -> &'static str {
    match code {
        463 => send_failure::REACHOUT_LIMITED,
        404 => send_failure::RECIPIENT_UNAVAILABLE,
        _ => send_failure::REJECTED,
    }
}

#[cfg(test)]
mod tests;
