//! Sends the messages of a session: each under the id that the router gave it, one after the other
//! in each chat, and again until WhatsApp answers.
//!
//! A message is held in memory only. After a crash, the router hands it over again; the engine's own
//! copy then tells that the message may have been written, and a receipt may tell that it arrived.
//!
//! Decision: ADR 0048.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gateway_protocol::{
    CancelOutcome, JournalItem, MessagesTaken, OutgoingMessage, ReceiptLevel, RefusedCode,
    RefusedMessage, SendResultItem, SendState, TakenMessage, send_failure,
};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use super::{
    admission::refusal,
    link::{Live, SendLink},
    send_queue::{Job, Progress, SendQueue, Submission},
    wire::{SessionWire, WireError},
};

/// Messages that a session encrypts and writes at the same time.
const MAX_WRITING: usize = 16;
/// Time after which a message without an answer is written again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time after a connection, or after the end of WhatsApp's queue, in which a receipt can tell that
/// a message arrived before it is written again.
const EVIDENCE_WAIT: Duration = Duration::from_secs(15);
/// Attempts to encrypt a message, and the wait after the first; doubles with each.
const MAX_ATTEMPTS: u32 = 4;
const ATTEMPT_WAIT: Duration = Duration::from_secs(1);
/// Wait after WhatsApp asked to try later, and after an attempt on a connection that was lost.
const TRY_LATER_WAIT: Duration = Duration::from_secs(5);
const DISCONNECT_WAIT: Duration = Duration::from_millis(200);
/// Upper bound of the wait between attempts.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// The longest time for which a message is held, in milliseconds; longer than the router's.
const MAX_LIFETIME_MS: i64 = 30 * 24 * 3_600_000;
/// The longest time of typing.
const MAX_TYPING: Duration = Duration::from_secs(25);

/// The messages that one session sends.
pub(crate) struct MessageSender {
    outcomes: Arc<dyn SendOutcomes>,
    queue: Mutex<SendQueue>,
    link: SendLink,
    writing: Semaphore,
}

/// Takes the outcomes of messages.
pub(crate) trait SendOutcomes: Send + Sync {
    /// Takes an answer of WhatsApp, or an end without one.
    fn report(&self, item: JournalItem);

    /// Returns the session, for the log.
    fn session(&self) -> &str;
}

/// What is known of the attempts to write a message.
struct Attempt {
    /// Failures in succession.
    failures: u32,
    /// The connection on which the message may have been written last; 0 is one of an earlier
    /// process.
    written_on: Option<u64>,
    typed: bool,
}

impl Attempt {
    /// Counts a failure and returns the wait before the next attempt; doubles with each.
    fn next_wait(&mut self, first: Duration) -> Duration {
        let wait = first.saturating_mul(2_u32.saturating_pow(self.failures)).min(MAX_WAIT);
        self.failures = self.failures.saturating_add(1);
        wait
    }
}

/// What follows an attempt.
enum Outcome {
    /// The message has ended.
    Ended,
    /// The next attempt follows after this time.
    Repeat(Duration),
    /// The message is written; its answer is awaited.
    Written,
}

impl MessageSender {
    pub(crate) fn new(outcomes: Arc<dyn SendOutcomes>) -> Arc<Self> {
        Arc::new(Self {
            outcomes,
            queue: Mutex::default(),
            link: SendLink::default(),
            writing: Semaphore::new(MAX_WRITING),
        })
    }

    /// Records that the session has logged in.
    pub(crate) fn connected(&self, wire: Arc<dyn SessionWire>) {
        self.link.connect(wire);
    }

    /// Records that WhatsApp has delivered what it had queued.
    pub(crate) fn drained(&self) {
        self.link.drain();
    }

    /// Records that the connection was lost; the engine reconnects.
    pub(crate) fn disconnected(&self) {
        self.link.disconnect();
    }

    /// Records that the engine has ended.
    pub(crate) fn detached(&self) {
        self.link.detach();
    }

    /// Forgets all messages: no account is linked any more.
    pub(crate) fn clear(&self) {
        self.queue().clear();
    }

    /// Returns the connection for a live request.
    pub(crate) fn wire(&self) -> Option<Arc<dyn SessionWire>> {
        self.link.live_wire()
    }

    /// Takes messages. `account` is the phone number that they were accepted for.
    pub(crate) fn submit(
        self: &Arc<Self>,
        account: Option<&str>,
        items: Vec<OutgoingMessage>,
    ) -> MessagesTaken {
        let mut answer = MessagesTaken::default();
        let wire = self.link.wire();
        let linked = wire.as_ref().and_then(|wire| wire.account());
        for message in items {
            let outbox = message.outbox.clone();
            let outcome = match refusal(&message, wire.is_some(), account, linked.as_deref()) {
                // A message that the node holds or has sent keeps its state.
                Some(code) => self.state_or(&outbox, code),
                None => self.queue_message(message),
            };
            match outcome {
                Ok(taken) => answer.taken.push(taken),
                Err(code) => answer.refused.push(RefusedMessage { outbox, code }),
            }
        }
        answer
    }

    /// Cancels a message that is not written.
    pub(crate) fn cancel(&self, outbox: &str) -> CancelOutcome {
        self.queue().cancel(outbox)
    }

    /// Handles WhatsApp's answer to a message of this account.
    pub(crate) fn on_answer(&self, wa_id: &str, code: Option<u32>, sent_at: Option<i64>) {
        let item = self.queue().answer(wa_id, code, sent_at);
        if let Some(item) = item {
            self.outcomes.report(JournalItem::Ack(item));
        }
    }

    /// Handles a receipt of another account: WhatsApp has the messages, also without an answer.
    pub(crate) fn on_receipt(&self, wa_ids: &[String], level: ReceiptLevel) {
        if !matches!(level, ReceiptLevel::Delivered | ReceiptLevel::Read | ReceiptLevel::Played) {
            return;
        }
        let unanswered = self.queue().unanswered(wa_ids);
        for outbox in unanswered {
            self.end(&outbox, SendState::Sent, None);
        }
    }

    fn queue_message(
        self: &Arc<Self>,
        message: OutgoingMessage,
    ) -> Result<TakenMessage, RefusedCode> {
        let left = message.not_after.saturating_sub(wacore::time::now_millis());
        let left = u64::try_from(left.min(MAX_LIFETIME_MS)).map_err(|_| RefusedCode::Expired)?;
        let (outbox, chat) = (message.outbox.clone(), message.chat);
        let deadline = Instant::now() + Duration::from_millis(left);
        let submission = self.queue().submit(message, deadline);
        match submission {
            Submission::Known(taken) => return Ok(taken),
            Submission::Refused(code) => return Err(code),
            Submission::Queued { starts_lane: false } => {}
            Submission::Queued { starts_lane: true } => {
                drop(tokio::spawn(self.clone().send_chat(chat)));
            }
        }
        Ok(TakenMessage { outbox, state: SendState::Queued, code: None })
    }

    fn state_or(&self, outbox: &str, code: RefusedCode) -> Result<TakenMessage, RefusedCode> {
        self.queue().known(outbox).ok_or(code)
    }

    /// Sends the messages of a chat until none is left.
    async fn send_chat(self: Arc<Self>, chat: i64) {
        loop {
            let job = self.queue().next(chat);
            match job {
                Some(job) => self.send(job).await,
                None => return,
            }
        }
    }

    /// Sends one message and waits for its end.
    async fn send(&self, mut job: Job) {
        let mut progress = job.progress.clone();
        let deadline = job.deadline;
        tokio::select! {
            // Nothing is written after the deadline.
            biased;
            () = reached(&mut progress, Progress::Ended) => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = self.send_until_answered(&mut job) => {}
        }
        let outbox = &job.message.outbox;
        // Without an end so far, the time is over.
        let state = match self.queue().known(outbox).map(|known| known.state) {
            Some(SendState::Queued) => SendState::Expired,
            _ => SendState::Uncertain,
        };
        self.end(outbox, state, None);
    }

    /// Writes a message, again after each lost connection and each missing answer. Returns when the
    /// message has ended; the caller stops at the deadline of the message.
    async fn send_until_answered(&self, job: &mut Job) {
        let message = job.message.clone();
        let mut attempt = Attempt { failures: 0, written_on: None, typed: false };
        if self.link.live().await.wire.may_have_sent(&message).await {
            self.queue().begin_writing(&message.outbox);
            attempt.written_on = Some(0);
        }
        loop {
            let live = self.link.live().await;
            // On the connection of the last attempt, the missing answer is evidence enough.
            if attempt.written_on.is_some_and(|connection| connection != live.connection) {
                tokio::select! {
                    () = self.wait_for_evidence(&live) => {}
                    () = self.link.lost(&live) => continue,
                }
            }
            match self.write(&message, &live, &mut attempt).await {
                Outcome::Ended => return,
                Outcome::Repeat(wait) => tokio::time::sleep(wait).await,
                Outcome::Written => self.wait_for_answer(job, &live).await,
            }
        }
    }

    /// Makes one attempt to write a message.
    async fn write(
        &self,
        message: &OutgoingMessage,
        live: &Live,
        attempt: &mut Attempt,
    ) -> Outcome {
        if !std::mem::replace(&mut attempt.typed, true) {
            self.type_for(message, live).await;
        }
        let Ok(_permit) = self.writing.acquire().await else { return Outcome::Ended };
        if !self.queue().begin_writing(&message.outbox) {
            return Outcome::Ended;
        }
        let before = attempt.written_on;
        match live.wire.send(message).await {
            Ok(()) => {
                (attempt.written_on, attempt.failures) = (Some(live.connection), 0);
                return Outcome::Written;
            }
            Err(WireError::Disconnected) => {
                attempt.written_on = Some(live.connection);
                return Outcome::Repeat(attempt.next_wait(DISCONNECT_WAIT));
            }
            Err(error @ WireError::NotWritten(_)) if attempt.failures + 1 < MAX_ATTEMPTS => {
                self.log(&error);
                if before.is_none() {
                    self.queue().not_written(&message.outbox);
                }
                return Outcome::Repeat(attempt.next_wait(ATTEMPT_WAIT));
            }
            Err(error) => {
                self.log(&error);
                let code = match error {
                    WireError::Invalid(_) => send_failure::INVALID,
                    _ => send_failure::ENCRYPTION_FAILED,
                };
                // An earlier attempt may have reached WhatsApp.
                let state = if before.is_some() { SendState::Uncertain } else { SendState::Failed };
                self.end(&message.outbox, state, before.is_none().then(|| code.to_owned()));
            }
        }
        Outcome::Ended
    }

    /// Waits for the answer to a message that was written, until the next attempt is due.
    async fn wait_for_answer(&self, job: &mut Job, live: &Live) {
        tokio::select! {
            () = self.link.lost(live) => {}
            () = tokio::time::sleep(ANSWER_TIMEOUT) => {
                let session = self.outcomes.session();
                tracing::warn!(session, "WhatsApp did not answer to a message; sending it again");
            }
            () = reached(&mut job.progress, Progress::TryLater) => {
                tokio::time::sleep(TRY_LATER_WAIT).await;
            }
        }
    }

    /// Waits until a receipt of a message from an earlier connection would have arrived. The caller
    /// stops when the receipt ends the message.
    async fn wait_for_evidence(&self, live: &Live) {
        let mut settled = live.settled;
        loop {
            tokio::time::sleep_until(settled + EVIDENCE_WAIT).await;
            match self.link.settled_after(live, settled) {
                Some(later) => settled = later,
                None => return,
            }
        }
    }

    /// Shows that the account types, for the time that the router asks for.
    async fn type_for(&self, message: &OutgoingMessage, live: &Live) {
        let Some(time) = message.typing_ms.filter(|time| *time > 0) else { return };
        let time = Duration::from_millis(time.into()).min(MAX_TYPING);
        live.wire.type_for(&message.to, time).await;
    }

    /// Ends a message without an answer of WhatsApp, unless it has ended.
    fn end(&self, outbox: &str, state: SendState, code: Option<String>) {
        let wa_id = self.queue().end(outbox, state, code.clone());
        if let Some(wa_id) = wa_id {
            let outbox = outbox.to_owned();
            let item = SendResultItem { outbox, wa_id, state, code };
            self.outcomes.report(JournalItem::SendResult(item));
        }
    }

    fn log(&self, error: &WireError) {
        let session = self.outcomes.session();
        tracing::warn!(session, %error, "message not sent");
    }

    fn queue(&self) -> MutexGuard<'_, SendQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a progress.
async fn reached(progress: &mut watch::Receiver<Progress>, goal: Progress) {
    if progress.wait_for(|progress| *progress == goal).await.is_err() {
        std::future::pending::<()>().await; // the message is forgotten
    }
}
