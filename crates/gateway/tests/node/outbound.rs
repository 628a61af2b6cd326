//! Messages that the router hands over, on their way to a phone, and live requests.

use std::time::Duration;

use gateway_protocol::{
    Answer, CancelOutcome, ChatActivity, JournalItem, OutgoingContent, OutgoingMessage, Question,
    RefusalCode, RefusedCode, SendMessages, SendState,
};
use whatsapp_sim::{Direction, Fault, FaultRule, FaultTarget, MessageContent, Phone, PhoneChanges};

use crate::{
    fixture::{NodeFixture, running},
    wait::{PATIENCE, until},
};

const ANN: &str = "15550000001";
const BOB: &str = "15550000002";

/// Texts as (outbox, chat, number): their text is the outbox id, and their id at WhatsApp ends with
/// it.
pub(crate) fn text_to(messages: &[(&str, i64, &str)], epoch: u64) -> SendMessages {
    let items = messages.iter().map(|(outbox, chat, number)| OutgoingMessage {
        outbox: (*outbox).to_owned(),
        chat: *chat,
        wa_id: format!("WA{outbox}"),
        to: format!("{number}@s.whatsapp.net"),
        content: OutgoingContent::Text { text: (*outbox).to_owned() },
        typing_ms: None,
        ephemeral: None,
        not_after: i64::MAX,
    });
    SendMessages { epoch, account: Some(ANN.to_owned()), items: items.collect() }
}

async fn linked() -> (NodeFixture, Phone, Phone) {
    let fixture = NodeFixture::new().await;
    let ann = fixture.whatsapp.add_phone(ANN, "Ann").unwrap();
    let bob = fixture.whatsapp.add_phone(BOB, "Bob").unwrap();
    fixture.linked("s1", &ann).await;
    (fixture, ann, bob)
}

/// Waits for WhatsApp's answer to a message: its code and reason.
async fn answer(fixture: &NodeFixture, outbox: &str) -> (Option<u32>, Option<String>) {
    fixture
        .router
        .item("s1", &format!("answer to {outbox}"), |item| match item {
            JournalItem::Ack(ack) if ack.outbox == outbox => Some((ack.code, ack.reason.clone())),
            _ => None,
        })
        .await
}

fn written(fixture: &NodeFixture, ann: &Phone, wa_id: &str) -> usize {
    let wire = fixture.whatsapp.wire(ANN, ann.devices()[0].id);
    let of_id = wire.stanzas.iter().filter(|stanza| {
        stanza.direction == Direction::In
            && stanza.kind == "message"
            && stanza.id.as_deref() == Some(wa_id)
    });
    of_id.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn text_arrives_under_its_id_and_a_repetition_sends_nothing() {
    let (fixture, ann, bob) = linked().await;
    let request = text_to(&[("out_1", 1, BOB)], 1);
    let taken = fixture.api.send("s1", &request).await.unwrap();
    assert_eq!((taken.taken[0].state, taken.refused.len()), (SendState::Queued, 0));
    let shown = bob.wait_message(PATIENCE, |message| message.id == "WAout_1").await.unwrap();
    assert_eq!((shown.text.as_deref(), shown.from.as_str()), (Some("out_1"), ANN));
    assert_eq!(answer(&fixture, "out_1").await, (None, None));
    let again = fixture.api.send("s1", &request).await.unwrap();
    assert_eq!(again.taken[0].state, SendState::Sent);
    assert_eq!(written(&fixture, &ann, "WAout_1"), 1);
    assert_eq!(bob.texts(), ["out_1"]);
    let own = ann.wait_message(PATIENCE, |message| message.id == "WAout_1").await.unwrap();
    assert!(own.from_me, "the own phone shows the message, too");
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_chat_arrive_in_order() {
    let (fixture, _, bob) = linked().await;
    let names: Vec<String> = (0..20).map(|number| format!("out_{number}")).collect();
    let messages: Vec<_> = names.iter().map(|name| (name.as_str(), 1, BOB)).collect();
    fixture.api.send("s1", &text_to(&messages, 1)).await.unwrap();
    assert!(bob.wait_for(PATIENCE, |phone| phone.texts().len() == 20).await);
    assert_eq!(bob.texts(), names);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_whatsapp_have_their_reasons() {
    let (fixture, _, bob) = linked().await;
    for (outbox, code, reason) in [
        ("out_1", 463, "reachout_limited"),
        ("out_2", 479, "rejected"),
        ("out_3", 404, "recipient_unavailable"),
    ] {
        let rule = FaultRule::next(FaultTarget::Message, Fault::Refuse(code));
        fixture.whatsapp.faults().add(FaultRule { from: Some(ANN.to_owned()), ..rule });
        let request = text_to(&[(outbox, 1, BOB)], 1);
        fixture.api.send("s1", &request).await.unwrap();
        let refused = (Some(u32::from(code)), Some(reason.to_owned()));
        assert_eq!(answer(&fixture, outbox).await, refused);
        let again = fixture.api.send("s1", &request).await.unwrap();
        assert_eq!(again.taken[0].state, SendState::Rejected);
    }
    fixture.api.send("s1", &text_to(&[("out_4", 1, BOB)], 1)).await.unwrap();
    assert!(bob.wait_for(PATIENCE, |phone| phone.texts() == ["out_4"]).await);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipt_ends_a_message_whose_answer_was_lost() {
    let (fixture, ann, bob) = linked().await;
    let rule = FaultRule::next(FaultTarget::Message, Fault::LoseAnswer);
    fixture.whatsapp.faults().add(FaultRule { from: Some(ANN.to_owned()), ..rule });
    let request = text_to(&[("out_1", 1, BOB), ("out_2", 1, BOB)], 1);
    fixture.api.send("s1", &request).await.unwrap();
    let sent = fixture.router.item("s1", "result", |item| match item {
        JournalItem::SendResult(result) => Some((result.outbox.clone(), result.state)),
        _ => None,
    });
    assert_eq!(sent.await, ("out_1".to_owned(), SendState::Sent));
    assert!(bob.wait_for(PATIENCE, |phone| phone.texts().len() == 2).await);
    assert_eq!(written(&fixture, &ann, "WAout_1"), 1);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_node_waits_for_a_receipt_before_it_repeats_a_message() {
    let (mut fixture, ann, bob) = linked().await;
    bob.set_online(false);
    let rule = FaultRule::next(FaultTarget::Message, Fault::LoseAnswer);
    fixture.whatsapp.faults().add(FaultRule { from: Some(ANN.to_owned()), ..rule });
    let request = text_to(&[("out_1", 1, BOB)], 1);
    fixture.api.send("s1", &request).await.unwrap();
    until("written", || async { (written(&fixture, &ann, "WAout_1") == 1).then_some(()) }).await;
    fixture.restart().await;
    fixture.api.declare("s1", &running(2)).await.unwrap();
    fixture.api.working("s1").await;
    let request = SendMessages { epoch: 2, ..request };
    let taken = until("taken", || async {
        let taken = fixture.api.send("s1", &request).await.unwrap();
        taken.taken.first().cloned()
    })
    .await;
    assert_eq!(taken.outbox, "out_1");
    until("known as written", || async {
        let taken = fixture.api.send("s1", &request).await.unwrap();
        (taken.taken[0].state == SendState::Written).then_some(())
    })
    .await;
    bob.set_online(true);
    let sent = fixture.router.item("s1", "result", |item| match item {
        JournalItem::SendResult(result) => Some(result.state),
        _ => None,
    });
    assert_eq!(sent.await, SendState::Sent);
    assert_eq!(written(&fixture, &ann, "WAout_1"), 1, "never written again");
    assert_eq!(bob.texts(), ["out_1"]);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_of_whatsapp_delays_a_message() {
    let (fixture, ann, bob) = linked().await;
    let device = ann.devices()[0].id;
    ann.kick(device, whatsapp_sim::Kick::Unavailable).unwrap();
    fixture.api.send("s1", &text_to(&[("out_1", 1, BOB)], 1)).await.unwrap();
    assert!(bob.wait_for(PATIENCE, |phone| phone.texts() == ["out_1"]).await);
    assert_eq!(answer(&fixture, "out_1").await, (None, None));
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_another_account_or_an_old_epoch_are_refused() {
    let (fixture, _, _) = linked().await;
    let other = SendMessages { account: Some(BOB.to_owned()), ..text_to(&[("out_1", 1, BOB)], 1) };
    let refused = fixture.api.send("s1", &other).await.unwrap().refused;
    assert_eq!(refused[0].code, RefusedCode::OtherAccount);
    let old = fixture.api.send("s1", &text_to(&[("out_1", 1, BOB)], 0)).await.unwrap_err();
    assert_eq!(old.code, RefusalCode::StaleEpoch);
    let unknown = fixture.api.send("s9", &text_to(&[("out_1", 1, BOB)], 1)).await.unwrap_err();
    assert_eq!(unknown.code, RefusalCode::UnknownSession);
    let cancelled = fixture.api.cancel("s1", 1, "out_1").await.unwrap();
    assert_eq!(cancelled.outcome, CancelOutcome::Unknown);
    let late = fixture.api.send("s1", &text_to(&[("out_1", 1, BOB)], 1)).await.unwrap();
    assert_eq!(late.taken[0].state, SendState::Cancelled, "the message arrived after its end");
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unlinked_account_sends_nothing_more() {
    let (fixture, ann, bob) = linked().await;
    let rule = FaultRule::always(FaultTarget::Everything, Fault::Swallow);
    let fault = fixture.whatsapp.faults().add(rule);
    fixture.api.send("s1", &text_to(&[("out_1", 1, BOB)], 1)).await.unwrap();
    fixture.whatsapp.remove_fault(Some(fault));
    ann.unlink(ann.devices()[0].id).unwrap();
    fixture.api.until("s1", "not linked", |snapshot| snapshot.identity.is_none()).await;
    let refused = fixture.api.send("s1", &text_to(&[("out_1", 1, BOB)], 1)).await.unwrap().refused;
    assert_eq!(refused[0].code, RefusedCode::NotWorking, "forgotten");
    assert_eq!(bob.texts(), Vec::<String>::new());
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_precedes_the_message_and_the_timer_of_the_chat_is_applied() {
    let (fixture, _, bob) = linked().await;
    let mut request = text_to(&[("out_1", 1, BOB)], 1);
    request.items[0].typing_ms = Some(50);
    request.items[0].ephemeral = Some(86_400);
    fixture.api.send("s1", &request).await.unwrap();
    let shown = bob.wait_message(PATIENCE, |message| message.id == "WAout_1").await.unwrap();
    assert_eq!(shown.expiration, Some(86_400));
    let typing: Vec<_> = bob.observations().into_iter().filter(|o| o.kind == "typing").collect();
    assert_eq!(typing[0].state, "composing");
    assert!(typing[0].at <= shown.at);
    // The account is online for as long as the typing lasts.
    let offline = |phone: &Phone| {
        let last = phone.observations().into_iter().rfind(|o| o.kind == "presence");
        last.is_none_or(|observation| observation.state == "unavailable")
    };
    assert!(bob.wait_for(PATIENCE, offline).await);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_of_contacts_answers_canonical_addresses() {
    let (fixture, _, bob) = linked().await;
    let aliases = Some(std::iter::once("15559000002".to_owned()).collect());
    bob.configure(&PhoneChanges { aliases, ..PhoneChanges::default() }).unwrap();
    let addresses = [BOB, "15559000002", "15550000099"].map(str::to_owned).to_vec();
    let answer = fixture.api.ask("s1", 1, Question::CheckContacts { addresses }).await.unwrap();
    let Answer::Contacts { contacts } = answer else { panic!("{answer:?}") };
    let jid = Some(format!("{BOB}@s.whatsapp.net"));
    let found: Vec<_> =
        contacts.iter().map(|c| (c.asked.as_str(), c.registered, c.jid.clone())).collect();
    let expected =
        [(BOB, true, jid.clone()), ("15559000002", true, jid), ("15550000099", false, None)];
    assert_eq!(found, expected);
    assert_eq!(contacts[0].lid, Some(format!("{}@lid", bob.lid())));
    let addresses = vec!["7@g.us".to_owned()];
    let invalid = fixture.api.ask("s1", 1, Question::CheckContacts { addresses }).await;
    assert_eq!(invalid.unwrap_err().code, RefusalCode::Malformed);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn read_messages_and_activities_are_shown_to_the_partner() {
    let (fixture, _, bob) = linked().await;
    let content = MessageContent::Text { text: "a question".to_owned() };
    let question = bob.send(ANN, &whatsapp_sim::OutgoingMessage::new(content)).unwrap();
    let message = fixture.router.message("s1", "a question").await;
    let ids = vec![message.wa_id];
    let read = Question::MarkRead { chat: message.chat.clone(), sender: None, ids };
    assert_eq!(fixture.api.ask("s1", 1, read).await.unwrap(), Answer::Done);
    let is_read = |phone: &Phone| {
        phone.messages_with_id(&question.id)[0].receipts.iter().any(|r| r.kind == "read")
    };
    assert!(bob.wait_for(PATIENCE, is_read).await);
    let state = ChatActivity::Recording;
    let activity = Question::ChatPresence { chat: message.chat, state };
    assert_eq!(fixture.api.ask("s1", 1, activity).await.unwrap(), Answer::Done);
    let shown = |phone: &Phone| phone.observations().iter().any(|o| o.state == "recording");
    assert!(bob.wait_for(PATIENCE, shown).await);
    let old = fixture.api.ask("s1", 0, Question::Unknown).await.unwrap_err();
    assert_eq!(old.code, RefusalCode::StaleEpoch);
    let unknown = fixture.api.ask("s1", 1, Question::Unknown).await.unwrap_err();
    assert_eq!(unknown.code, RefusalCode::Malformed);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_is_not_connected_takes_no_message() {
    let (fixture, _, _) = linked().await;
    fixture.api.declare("s1", &crate::fixture::stopped(2)).await.unwrap();
    let refused = fixture.api.send("s1", &text_to(&[("out_1", 1, BOB)], 2)).await.unwrap().refused;
    assert_eq!(refused[0].code, RefusedCode::NotWorking);
    let addresses = vec![BOB.to_owned()];
    let ask = fixture.api.ask("s1", 2, Question::CheckContacts { addresses });
    let unavailable = tokio::time::timeout(Duration::from_secs(60), ask).await.unwrap();
    assert_eq!(unavailable.unwrap_err().code, RefusalCode::Unavailable);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_of_before_the_link_gives_names_and_tokens_and_no_messages() {
    let fixture = NodeFixture::new().await;
    let ann = fixture.whatsapp.add_phone(ANN, "Ann").unwrap();
    let bob = fixture.whatsapp.add_phone(BOB, "Bob").unwrap();
    bob.send(ANN, &whatsapp_sim::OutgoingMessage::text("long ago")).unwrap();
    bob.trust(ANN).unwrap();
    let rule = FaultRule::always(FaultTarget::Message, Fault::Refuse(463));
    let rule = FaultRule { from: Some(ANN.to_owned()), unless_token: true, ..rule };
    fixture.whatsapp.faults().add(rule);
    fixture.linked("s1", &ann).await;
    let lid = bob.lid();
    fixture
        .router
        .item("s1", "names of Bob", |item| match item {
            JournalItem::Contact(names) => {
                let is_bob = names.contacts.iter().any(|names| {
                    names.lid.as_ref() == Some(&lid) && names.phone.as_deref() == Some(BOB)
                });
                is_bob.then_some(())
            }
            _ => None,
        })
        .await;
    fixture.api.send("s1", &text_to(&[("out_1", 1, BOB)], 1)).await.unwrap();
    assert_eq!(answer(&fixture, "out_1").await, (None, None), "the token of the history is used");
    assert_eq!(fixture.router.messages_of("s1"), []);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn account_that_writes_by_lid_reaches_a_phone_number() {
    let fixture = NodeFixture::new().await;
    let ann = fixture.whatsapp.add_phone(ANN, "Ann").unwrap();
    let bob = fixture.whatsapp.add_phone(BOB, "Bob").unwrap();
    ann.configure(&PhoneChanges { lid_migrated: Some(true), ..PhoneChanges::default() }).unwrap();
    fixture.linked("s1", &ann).await;
    let mut request = text_to(&[("out_1", 1, BOB), ("out_2", 1, BOB)], 1);
    request.items[1].to = format!("{}@lid", bob.lid());
    fixture.api.send("s1", &request).await.unwrap();
    assert!(bob.wait_for(PATIENCE, |phone| phone.texts() == ["out_1", "out_2"]).await);
    assert_eq!(answer(&fixture, "out_2").await, (None, None));
    fixture.end().await;
}
