//! Tests of the plan of a dispatch.

use super::*;
use crate::{
    id::{OrganizationId, OutboxId, SessionId, WaMessageId},
    message::{
        address::ChatAddress,
        kind::MessageSource,
        model::{MessageFlags, MessageSender},
        state::{AckLevel, MessageState},
    },
    messaging::state::{MessageHeader, SessionMessaging},
    rate_quota::RateQuota,
};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const ACCOUNT: &str = "15550000001";

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn chat(id: u64) -> Chat {
    let mut chat = Chat::new(ChatId(id), ACCOUNT, NOW);
    chat.phone = Some(ChatAddress::Phone(format!("1555123000{id}")));
    chat.has_inbound = true;
    chat
}

fn entry(message: u64, chat: u64) -> OutboxEntry {
    OutboxEntry {
        id: OutboxId::from_bits(message.into()),
        message: MessageId(message),
        wa_id: WaMessageId::mint(message.into()),
        chat: ChatId(chat),
        account: ACCOUNT.to_owned(),
        state: OutboxState::Queued,
        typing_millis: None,
        accepted_at: NOW,
        due: NOW,
        expires_at: at(3600),
        first_handed_at: None,
        handed_at: None,
        attempts: 0,
    }
}

fn handed(message: u64, chat: u64, due: Timestamp) -> OutboxEntry {
    let first_handed_at = Some(NOW);
    OutboxEntry { state: OutboxState::Handed, due, first_handed_at, ..entry(message, chat) }
}

fn state(entries: Vec<OutboxEntry>, chats: Vec<Chat>) -> MessagingState {
    let organization = OrganizationId::parse("acme").unwrap();
    let header = |entry: OutboxEntry| MessageHeader {
        id: entry.message,
        wa_id: entry.wa_id.clone(),
        chat: entry.chat,
        sender: MessageSender::Account,
        source: MessageSource::Api,
        flags: MessageFlags::default(),
        state: MessageState::Reached(AckLevel::Queued),
        reference: None,
        entry: Some(entry),
    };
    MessagingState {
        row: SessionMessaging::new(organization, SessionId::from_bits(1)),
        phone: Some(ACCOUNT.to_owned()),
        gateway: None,
        auto_read: false,
        names: Vec::new(),
        chats,
        messages: entries.into_iter().map(header).collect(),
    }
}

fn connected() -> Circumstances {
    Circumstances {
        now: NOW,
        acknowledgement: Duration::from_secs(600),
        is_connected: true,
        pace: Pace::FREE,
        next_expiry: None,
    }
}

fn ids(messages: &[u64]) -> Vec<MessageId> {
    messages.iter().map(|id| MessageId(*id)).collect()
}

fn ended(message: u64, reason: FailureReason) -> Vec<(MessageId, MessageFailure)> {
    vec![(MessageId(message), MessageFailure::of(reason))]
}

#[test]
fn one_message_of_a_chat_is_under_way() {
    let entries = vec![handed(3, 1, at(15)), entry(4, 1), entry(5, 2), entry(6, 2)];
    let state = state(entries, vec![chat(1), chat(2)]);
    let plan = plan(&state, &connected());
    assert_eq!((plan.handed, plan.next), (ids(&[5]), Some(at(15))));
}

#[test]
fn unknown_result_is_asked_for_again_until_the_message_is_uncertain() {
    let later = |now| Circumstances { now, ..connected() };
    let state = state(vec![handed(3, 1, at(15))], vec![chat(1)]);
    assert_eq!(plan(&state, &later(at(14))).next, Some(at(15)));
    assert_eq!(plan(&state, &later(at(15))).handed, ids(&[3]));
    // Without a connection, only the end counts.
    let away = Circumstances { is_connected: false, ..later(at(15)) };
    let given_up = plan(&state, &away);
    assert_eq!((given_up.handed, given_up.next), (Vec::new(), Some(at(660))));
    for is_connected in [true, false] {
        let end = Circumstances { is_connected, ..later(at(660)) };
        let given_up = plan(&state, &end);
        assert_eq!(given_up.ended, ended(3, FailureReason::Uncertain));
        assert_eq!(given_up.next, Some(at(660)), "the next message of the chat can leave");
    }
}

#[test]
fn message_is_not_sent_after_its_expiry() {
    let expires = |entry| OutboxEntry { expires_at: at(20), ..entry };
    let queued = state(vec![expires(entry(3, 1))], vec![chat(1)]);
    let later = Circumstances { now: at(20), ..connected() };
    assert_eq!(plan(&queued, &later).ended, ended(3, FailureReason::Expired));
    assert_eq!(not_after(&expires(entry(3, 1)), NOW, Duration::from_secs(600)), at(20));
    let under_way = state(vec![expires(handed(3, 1, at(15)))], vec![chat(1)]);
    assert_eq!(plan(&under_way, &later).ended, Vec::new(), "the node may still report");
    let later = Circumstances { now: at(80), ..connected() };
    assert_eq!(plan(&under_way, &later).ended, ended(3, FailureReason::Uncertain));
}

#[test]
fn message_leaves_from_no_other_account() {
    let other = |entry| OutboxEntry { account: "15550000002".to_owned(), ..entry };
    let entries = vec![other(handed(3, 1, NOW)), other(entry(4, 2))];
    let plan = plan(&state(entries, vec![chat(1), chat(2)]), &connected());
    let expected = [
        ended(3, FailureReason::Uncertain).remove(0),
        ended(4, FailureReason::SessionUnlinked).remove(0),
    ];
    assert_eq!((plan.ended, plan.handed), (expected.to_vec(), Vec::new()));
}

#[test]
fn pace_limits_first_hand_overs_only() {
    let quota = RateQuota { name: "test", count: 1, window: Duration::from_secs(60) };
    let exhausted = Pace { allowed: 0, exhausted: Some((quota, at(40))) };
    let entries = vec![handed(3, 1, NOW), entry(4, 2)];
    let state = state(entries, vec![chat(1), chat(2)]);
    let plan_at = |pace| plan(&state, &Circumstances { pace, ..connected() });
    let none = plan_at(exhausted);
    assert_eq!((none.handed, none.next), (ids(&[3]), Some(at(15))));
    let one = plan_at(Pace { allowed: 1, exhausted: None });
    assert_eq!(one.handed, ids(&[3, 4]));
    let unknown = plan_at(Pace { allowed: 0, exhausted: None });
    assert_eq!(unknown.next, Some(at(1)));
}

#[test]
fn pause_of_first_contacts_lets_answers_pass() {
    let mut first = chat(1);
    first.has_inbound = false;
    let mut state = state(vec![entry(3, 1), entry(4, 2)], vec![first, chat(2)]);
    (state.row.paused_until, state.row.queued) = (Some(at(3600)), 2);
    let waits = plan(&state, &connected());
    assert_eq!((waits.handed, waits.next), (ids(&[4]), Some(at(15))));
    state.row.paused_until = Some(NOW);
    assert_eq!(plan(&state, &connected()).handed, ids(&[3, 4]));
}

#[test]
fn digits_are_confirmed_first() {
    let mut unknown = chat(1);
    unknown.phone = None;
    let state = state(vec![entry(3, 1), entry(4, 2)], vec![unknown, chat(2)]);
    let plan = plan(&state, &connected());
    assert_eq!((plan.unaddressed, plan.handed), ([ChatId(1)].into(), ids(&[4])));
    assert_eq!(plan.next, Some(at(5)));
}

#[test]
fn nothing_is_due_without_messages_and_the_expiry_without_a_connection() {
    assert_eq!(plan(&state(Vec::new(), Vec::new()), &connected()), Plan::default());
    let away = Circumstances { is_connected: false, next_expiry: Some(at(90)), ..connected() };
    let waits = plan(&state(vec![entry(3, 1)], vec![chat(1)]), &away);
    assert_eq!((waits.handed, waits.next), (Vec::new(), Some(at(90))));
}

#[test]
fn hand_over_has_a_maximum_size() {
    let entries = (1..=60).map(|id| entry(id, id)).collect();
    let chats = (1..=60).map(chat).collect();
    let plan = plan(&state(entries, chats), &connected());
    assert_eq!((plan.handed.len(), plan.next), (50, Some(NOW)));
}
