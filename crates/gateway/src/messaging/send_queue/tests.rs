//! Tests of the queue of messages to send.

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
