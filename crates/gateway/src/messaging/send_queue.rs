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
mod tests {
    use super::*;
    use gateway_protocol::OutgoingContent;

    fn message(outbox: &str, chat: i64) -> OutgoingMessage {
        OutgoingMessage {
            outbox: outbox.to_owned(),
            chat,
            wa_id: format!("WA{outbox}"),
            to: "1@s.whatsapp.net".to_owned(),
            content: OutgoingContent::Text { text: "hi".to_owned() },
            typing_ms: None,
            ephemeral: None,
            not_after: 0,
        }
    }

    fn submit(queue: &mut SendQueue, outbox: &str, chat: i64) -> Submission {
        queue.submit(message(outbox, chat), Instant::now())
    }

    fn known(outbox: &str, state: SendState, code: Option<&str>) -> Submission {
        let code = code.map(str::to_owned);
        Submission::Known(TakenMessage { outbox: outbox.to_owned(), state, code })
    }

    fn next(queue: &mut SendQueue, chat: i64) -> Option<String> {
        queue.next(chat).map(|job| job.message.outbox.clone())
    }

    #[tokio::test]
    async fn messages_of_a_chat_are_in_order_and_chats_are_independent() {
        let mut queue = SendQueue::default();
        let (starts, joins) =
            (Submission::Queued { starts_lane: true }, Submission::Queued { starts_lane: false });
        assert_eq!(submit(&mut queue, "a", 1), starts);
        assert_eq!(submit(&mut queue, "b", 1), joins);
        assert_eq!(submit(&mut queue, "c", 2), starts);
        assert_eq!(next(&mut queue, 1).as_deref(), Some("a"));
        assert_eq!(next(&mut queue, 2).as_deref(), Some("c"));
        assert_eq!(submit(&mut queue, "d", 1), joins, "the task of the chat still runs");
        assert_eq!(next(&mut queue, 1).as_deref(), Some("b"));
        assert_eq!(next(&mut queue, 1).as_deref(), Some("d"));
        assert_eq!(next(&mut queue, 1), None);
        assert_eq!(submit(&mut queue, "e", 1), starts);
    }

    #[tokio::test]
    async fn repeated_id_answers_the_state_and_sends_nothing() {
        let mut queue = SendQueue::default();
        submit(&mut queue, "a", 1);
        assert_eq!(submit(&mut queue, "a", 1), known("a", SendState::Queued, None));
        queue.next(1);
        assert!(queue.begin_writing("a"));
        assert_eq!(submit(&mut queue, "a", 1), known("a", SendState::Written, None));
        queue.not_written("a");
        assert_eq!(submit(&mut queue, "a", 1), known("a", SendState::Queued, None));
        let ack = queue.answer("WAa", Some(479), None).unwrap();
        assert_eq!((ack.outbox.as_str(), ack.code), ("a", Some(479)));
        let rejected = known("a", SendState::Rejected, Some("rejected"));
        assert_eq!(submit(&mut queue, "a", 1), rejected);
        assert_eq!(next(&mut queue, 1), None);
        assert!(!queue.begin_writing("a"));
    }

    #[tokio::test]
    async fn answers_are_reported_once_and_late_ones_correct_an_uncertain_end() {
        let mut queue = SendQueue::default();
        for (outbox, code, reason) in [
            ("a", None, None),
            ("b", Some(463), Some("reachout_limited")),
            ("c", Some(404), Some("recipient_unavailable")),
            ("d", Some(405), Some("rejected")),
        ] {
            submit(&mut queue, outbox, 1);
            queue.next(1);
            queue.begin_writing(outbox);
            let ack = queue.answer(&format!("WA{outbox}"), code, Some(7)).unwrap();
            assert_eq!((ack.code, ack.reason.as_deref(), ack.sent_at), (code, reason, Some(7)));
            assert_eq!(queue.answer(&format!("WA{outbox}"), code, Some(7)), None);
        }
        assert_eq!(queue.answer("another", None, None), None);
        submit(&mut queue, "e", 1);
        queue.next(1);
        queue.begin_writing("e");
        assert_eq!(queue.answer("WAe", Some(503), None), None, "to be tried later");
        assert_eq!(queue.end("e", SendState::Uncertain, None).as_deref(), Some("WAe"));
        assert_eq!(queue.end("e", SendState::Expired, None), None);
        assert!(queue.answer("WAe", None, None).is_some());
        submit(&mut queue, "f", 1);
        queue.next(1);
        queue.begin_writing("f");
        queue.end("f", SendState::Sent, None);
        assert!(queue.answer("WAf", None, Some(7)).is_some(), "a receipt overtook the answer");
        assert_eq!(submit(&mut queue, "e", 1), known("e", SendState::Sent, None));
    }

    #[tokio::test]
    async fn cancellation_stops_a_message_that_is_not_written() {
        let mut queue = SendQueue::default();
        submit(&mut queue, "a", 1);
        submit(&mut queue, "b", 1);
        let job = queue.next(1).unwrap();
        assert_eq!(queue.cancel("a"), CancelOutcome::Gone);
        assert_eq!(*job.progress.borrow(), Progress::Ended);
        assert!(!queue.begin_writing("a"));
        assert_eq!(queue.cancel("a"), CancelOutcome::Gone);
        queue.next(1);
        queue.begin_writing("b");
        assert_eq!(queue.cancel("b"), CancelOutcome::TooLate);
        assert_eq!(queue.cancel("c"), CancelOutcome::Unknown);
        assert_eq!(submit(&mut queue, "c", 1), known("c", SendState::Cancelled, None));
    }

    #[tokio::test]
    async fn queue_is_bounded_and_forgets_what_ended() {
        let mut queue = SendQueue::default();
        for number in 0..MAX_HELD {
            submit(&mut queue, &number.to_string(), 1);
        }
        assert_eq!(submit(&mut queue, "more", 1), Submission::Refused(RefusedCode::QueueFull));
        queue.end("0", SendState::Expired, None);
        assert_eq!(submit(&mut queue, "more", 1), Submission::Queued { starts_lane: false });
        for number in 0..=MAX_ENDED {
            queue.cancel(&format!("unknown{number}"));
        }
        queue.evict();
        assert_eq!(queue.ended.len(), MAX_ENDED);
        assert!(!queue.outbox_by_wa_id.contains_key("WA0"));
        queue.clear();
        assert_eq!((queue.entries.len(), queue.held, next(&mut queue, 1)), (0, 0, None));
    }
}
