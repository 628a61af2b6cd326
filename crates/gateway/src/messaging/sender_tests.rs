//! Tests of sending over a connection that does what a test says, in paused time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use gateway_protocol::{
    Answer, CancelOutcome, JournalItem, OutgoingContent, OutgoingMessage, Question, ReceiptLevel,
    RefusedCode, SendState,
};
use tokio::time::Instant;

use super::{
    sender::{MessageSender, SendOutcomes},
    wire::{AskError, SessionWire, WireError},
};

/// A connection that records what is written, with the time since the start of the test in
/// seconds.
struct FakeWire {
    start: Instant,
    written: Mutex<Vec<(String, u64)>>,
    /// The results of the next writes; after them, all succeed.
    results: Mutex<VecDeque<Result<(), WireError>>>,
    /// Whether an earlier process may have written the messages.
    has_copy: bool,
    typed: Mutex<Vec<Duration>>,
}

#[async_trait]
impl SessionWire for FakeWire {
    fn account(&self) -> Option<String> {
        Some("15550001".to_owned())
    }

    async fn send(&self, message: &OutgoingMessage) -> Result<(), WireError> {
        let at = self.start.elapsed().as_secs();
        self.written.lock().unwrap().push((message.outbox.clone(), at));
        self.results.lock().unwrap().pop_front().unwrap_or(Ok(()))
    }

    async fn may_have_sent(&self, _message: &OutgoingMessage) -> bool {
        self.has_copy
    }

    async fn type_for(&self, _to: &str, time: Duration) {
        self.typed.lock().unwrap().push(time);
        tokio::time::sleep(time).await;
    }

    async fn ask(&self, _question: Question) -> Result<Answer, AskError> {
        Ok(Answer::Done)
    }
}

impl FakeWire {
    fn new(results: Vec<Result<(), WireError>>, has_copy: bool) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            written: Mutex::default(),
            results: Mutex::new(results.into()),
            has_copy,
            typed: Mutex::default(),
        })
    }

    fn written(&self) -> Vec<(String, u64)> {
        self.written.lock().unwrap().clone()
    }
}

#[derive(Default)]
struct Reported(Mutex<Vec<String>>);

impl SendOutcomes for Reported {
    fn report(&self, item: JournalItem) {
        let line = match item {
            JournalItem::Ack(ack) => {
                format!("{} {}", ack.outbox, ack.reason.as_deref().unwrap_or("accepted"))
            }
            JournalItem::SendResult(end) => {
                let code = end.code.map(|code| format!(" {code}")).unwrap_or_default();
                format!("{} {:?}{code}", end.outbox, end.state)
            }
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }

    fn session(&self) -> &'static str {
        "s1"
    }
}

impl Reported {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn sender() -> (Arc<MessageSender>, Arc<Reported>) {
    let reported = Arc::new(Reported::default());
    (MessageSender::new(reported.clone()), reported)
}

fn message(outbox: &str, chat: i64) -> OutgoingMessage {
    OutgoingMessage {
        outbox: outbox.to_owned(),
        chat,
        wa_id: format!("WA{outbox}"),
        to: "15550002@s.whatsapp.net".to_owned(),
        content: OutgoingContent::Text { text: "hi".to_owned() },
        typing_ms: None,
        ephemeral: None,
        not_after: wacore::time::now_millis() + 600_000,
    }
}

fn take(sender: &Arc<MessageSender>, messages: Vec<OutgoingMessage>) -> Vec<SendState> {
    let answer = sender.submit(None, messages);
    assert_eq!(answer.refused, []);
    answer.taken.into_iter().map(|taken| taken.state).collect()
}

fn state(sender: &Arc<MessageSender>, outbox: &str) -> SendState {
    take(sender, vec![message(outbox, 1)])[0]
}

/// Lets all tasks run until each waits for time or an event, and then lets the time pass.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn at(outbox: &str, second: u64) -> (String, u64) {
    (outbox.to_owned(), second)
}

#[tokio::test(start_paused = true)]
async fn next_message_of_a_chat_waits_for_the_answer_and_other_chats_do_not() {
    let (sender, reported) = sender();
    let wire = FakeWire::new(vec![], false);
    sender.connected(wire.clone());
    take(&sender, vec![message("a", 1), message("b", 1), message("c", 2)]);
    pass(1).await;
    let mut first = wire.written();
    first.sort();
    assert_eq!(first, [at("a", 0), at("c", 0)]);
    sender.on_answer("WAa", None, Some(1));
    sender.on_answer("WAc", Some(463), None);
    pass(1).await;
    assert_eq!(wire.written()[2], at("b", 1));
    sender.on_receipt(&["WAb".to_owned()], ReceiptLevel::Delivered);
    pass(1).await;
    assert_eq!(reported.lines(), ["a accepted", "c reachout_limited", "b Sent"]);
    assert_eq!([state(&sender, "a"), state(&sender, "c")], [SendState::Sent, SendState::Rejected]);
    assert_eq!(wire.written().len(), 3, "a repeated message is not written");
}

#[tokio::test(start_paused = true)]
async fn message_without_an_answer_is_written_again_until_its_time_is_over() {
    let (sender, reported) = sender();
    let wire = FakeWire::new(vec![], false);
    sender.connected(wire.clone());
    let not_after = wacore::time::now_millis() + 75_000;
    take(&sender, vec![OutgoingMessage { not_after, ..message("a", 1) }]);
    pass(74).await;
    assert_eq!(wire.written(), [at("a", 0), at("a", 30), at("a", 60)]);
    assert_eq!(state(&sender, "a"), SendState::Written);
    pass(30).await;
    assert_eq!(reported.lines(), ["a Uncertain"]);
    sender.on_answer("WAa", None, None);
    assert_eq!(reported.lines(), ["a Uncertain", "a accepted"], "a late answer counts");
    assert_eq!(wire.written().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn message_that_is_never_written_expires() {
    let (sender, reported) = sender();
    let wire = FakeWire::new(vec![], false);
    sender.connected(wire.clone());
    sender.disconnected();
    let not_after = wacore::time::now_millis() + 5_000;
    take(&sender, vec![OutgoingMessage { not_after, ..message("a", 1) }, message("b", 1)]);
    pass(6).await;
    assert_eq!(reported.lines(), ["a Expired"]);
    sender.connected(wire.clone());
    pass(1).await;
    assert_eq!(wire.written(), [at("b", 6)]);
}

#[tokio::test(start_paused = true)]
async fn message_of_a_lost_connection_waits_for_evidence_before_it_is_written_again() {
    let (sender, reported) = sender();
    let wire = FakeWire::new(vec![], false);
    sender.connected(wire.clone());
    take(&sender, vec![message("a", 1), message("b", 2)]);
    pass(1).await;
    sender.disconnected();
    pass(9).await;
    sender.connected(wire.clone());
    pass(9).await;
    sender.disconnected();
    sender.connected(wire.clone());
    pass(4).await;
    sender.drained();
    pass(14).await;
    assert_eq!(wire.written().len(), 2, "a receipt may still arrive");
    sender.on_receipt(&["WAa".to_owned()], ReceiptLevel::Read);
    pass(2).await;
    assert_eq!(reported.lines(), ["a Sent"]);
    assert_eq!(wire.written()[2..], [at("b", 38)]);
}

#[tokio::test(start_paused = true)]
async fn message_that_an_earlier_process_may_have_written_waits_for_evidence() {
    let (sender, _) = sender();
    let wire = FakeWire::new(vec![], true);
    sender.connected(wire.clone());
    take(&sender, vec![message("a", 1)]);
    pass(14).await;
    assert_eq!(wire.written(), []);
    assert_eq!(sender.cancel("a"), CancelOutcome::TooLate);
    assert_eq!(state(&sender, "a"), SendState::Written);
    pass(2).await;
    assert_eq!(wire.written(), [at("a", 15)]);
}

#[tokio::test(start_paused = true)]
async fn message_that_cannot_be_encrypted_fails_after_four_attempts() {
    let (sender, reported) = sender();
    let failure = Err(WireError::NotWritten("no keys".to_owned()));
    let wire = FakeWire::new(vec![failure.clone(); 4], false);
    sender.connected(wire.clone());
    take(&sender, vec![message("a", 1)]);
    pass(2).await;
    assert_eq!(state(&sender, "a"), SendState::Queued, "not written");
    pass(20).await;
    assert_eq!(wire.written(), [at("a", 0), at("a", 1), at("a", 3), at("a", 7)]);
    assert_eq!(reported.lines(), ["a Failed encryption_failed"]);

    let refused = Err(WireError::Invalid("no".to_owned()));
    wire.results.lock().unwrap().push_back(refused);
    take(&sender, vec![message("b", 1)]);
    pass(1).await;
    assert_eq!(reported.lines()[1..], ["b Failed invalid"]);
}

#[tokio::test(start_paused = true)]
async fn unavailable_service_is_tried_again_later() {
    let (sender, reported) = sender();
    let wire = FakeWire::new(vec![], false);
    sender.connected(wire.clone());
    take(&sender, vec![message("a", 1)]);
    pass(1).await;
    sender.on_answer("WAa", Some(503), None);
    pass(10).await;
    assert_eq!(wire.written(), [at("a", 0), at("a", 6)]);
    sender.on_answer("WAa", None, None);
    assert_eq!(reported.lines(), ["a accepted"]);
}

#[tokio::test(start_paused = true)]
async fn cancelled_message_is_not_written_and_typing_precedes_the_first_attempt_only() {
    let (sender, reported) = sender();
    let wire = FakeWire::new(vec![Err(WireError::NotWritten(String::new()))], false);
    sender.connected(wire.clone());
    let typed = |outbox| OutgoingMessage { typing_ms: Some(3_000), ..message(outbox, 1) };
    take(&sender, vec![typed("a"), typed("b")]);
    pass(2).await;
    assert_eq!(sender.cancel("a"), CancelOutcome::Gone);
    pass(20).await;
    assert_eq!(reported.lines(), Vec::<String>::new());
    assert_eq!(wire.written(), [at("b", 5), at("b", 6)]);
    assert_eq!(*wire.typed.lock().unwrap(), [Duration::from_secs(3); 2]);
}

#[tokio::test(start_paused = true)]
async fn messages_for_another_account_or_without_a_connection_are_refused() {
    let (sender, _) = sender();
    let refusals = |sender: &Arc<MessageSender>, account, message| {
        let answer = sender.submit(account, vec![message]);
        answer.refused.iter().map(|refused| refused.code).collect::<Vec<_>>()
    };
    assert_eq!(refusals(&sender, None, message("a", 1)), [RefusedCode::NotWorking]);
    sender.connected(FakeWire::new(vec![], false));
    assert_eq!(refusals(&sender, Some("15550009"), message("a", 1)), [RefusedCode::OtherAccount]);
    assert_eq!(refusals(&sender, Some("15550001"), message("a", 1)), []);
    for (to, wa_id, text, code) in [
        ("1@newsletter", "A", "x", RefusedCode::Invalid),
        ("status@broadcast", "A", "x", RefusedCode::Invalid),
        ("15550002", "A", "x", RefusedCode::Invalid),
        ("15550002:3@s.whatsapp.net", "A", "x", RefusedCode::Invalid),
        ("7@g.us", "", "x", RefusedCode::Invalid),
        ("7@g.us", "A", "", RefusedCode::Invalid),
    ] {
        let content = OutgoingContent::Text { text: text.to_owned() };
        let (to, wa_id) = (to.to_owned(), wa_id.to_owned());
        let sent = OutgoingMessage { to, wa_id, content, ..message("b", 1) };
        assert_eq!(refusals(&sender, None, sent.clone()), [code], "{sent:?}");
    }
    let unknown = OutgoingMessage { content: OutgoingContent::Unknown, ..message("b", 1) };
    assert_eq!(refusals(&sender, None, unknown), [RefusedCode::Unsupported]);
    let late = OutgoingMessage { not_after: 1, ..message("b", 1) };
    assert_eq!(refusals(&sender, None, late), [RefusedCode::Expired]);

    sender.detached();
    let answer = sender.submit(None, vec![message("a", 1)]);
    assert_eq!(answer.taken[0].state, SendState::Queued, "a known message keeps its state");
    sender.clear();
    assert_eq!(refusals(&sender, None, message("a", 1)), [RefusedCode::NotWorking]);
}

#[tokio::test(start_paused = true)]
async fn attempts_on_a_dead_connection_are_spaced() {
    let (sender, _) = sender();
    let wire = FakeWire::new(vec![Err(WireError::Disconnected); 9], false);
    sender.connected(wire.clone());
    take(&sender, vec![message("a", 1)]);
    pass(100).await;
    let seconds: Vec<u64> = wire.written().into_iter().map(|(_, second)| second).collect();
    assert_eq!(seconds, [0, 0, 0, 1, 3, 6, 12, 25, 51, 81]);
}
