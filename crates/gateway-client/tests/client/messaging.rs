//! The requests about messages, and what their answers become.

use std::time::Duration;

use domain::{
    Timestamp,
    ports::{
        ChatActivity, ContactCheck, GatewayError, HandOver, HandOverOutcome, HandOverRefusal,
        MessagingControl, NodeCancellation, NodeMessageState, OutboundMessage, OutboundMessages,
        ReadMessages,
    },
};
use hyper::StatusCode;
use serde_json::json;

use crate::scripted_node::{Script, ScriptedNode, TIMEOUT, client, session};

async fn node(answer: &serde_json::Value) -> ScriptedNode {
    ScriptedNode::start(Script::Respond(StatusCode::OK, answer.to_string())).await
}

fn messages() -> OutboundMessages {
    let message = OutboundMessage {
        outbox: "out_1".to_owned(),
        chat: 4,
        wa_id: "3EB0".to_owned(),
        to: "15550002@s.whatsapp.net".to_owned(),
        text: "hi".to_owned(),
        typing: Some(Duration::from_millis(900)),
        ephemeral_seconds: Some(86_400),
        not_after: Timestamp::from_millis(5),
    };
    OutboundMessages { epoch: 7, account: Some("15550001".to_owned()), messages: vec![message] }
}

#[tokio::test]
async fn messages_are_handed_over_and_each_has_an_outcome() {
    let answer = json!({
        "taken": [
            { "outbox": "out_1", "state": "written", "code": null },
            { "outbox": "out_2", "state": "rejected", "code": "reachout_limited" },
        ],
        "refused": [{ "outbox": "out_3", "code": "not_working" }],
    });
    let node = node(&answer).await;
    let outcomes = client(TIMEOUT).send(&node.registered(), &session(), &messages()).await.unwrap();
    let outcome = |outbox: &str, outcome| HandOver { outbox: outbox.to_owned(), outcome };
    let rejected = NodeMessageState::Rejected("reachout_limited".to_owned());
    assert_eq!(
        outcomes,
        [
            outcome("out_1", HandOverOutcome::Taken(NodeMessageState::Written)),
            outcome("out_2", HandOverOutcome::Taken(rejected)),
            outcome("out_3", HandOverOutcome::Refused(HandOverRefusal::NotWorking)),
        ]
    );
    let received = node.received().remove(0);
    assert_eq!(received.request_line, format!("POST /node/v1/sessions/{}/messages", session()));
    assert_eq!(
        received.body.unwrap(),
        json!({
            "epoch": 7, "account": "15550001",
            "items": [{
                "outbox": "out_1", "chat": 4, "waId": "3EB0", "to": "15550002@s.whatsapp.net",
                "content": { "type": "text", "text": "hi" }, "typingMs": 900,
                "ephemeral": 86_400, "notAfter": 5,
            }],
        })
    );
}

#[tokio::test]
async fn cancellation_names_the_message_and_returns_its_outcome() {
    for (word, outcome) in [
        ("gone", NodeCancellation::Gone),
        ("tooLate", NodeCancellation::TooLate),
        ("unknown", NodeCancellation::Unknown),
    ] {
        let node = node(&json!({ "outcome": word })).await;
        let cancelled = client(TIMEOUT).cancel(&node.registered(), &session(), 7, "out_1").await;
        assert_eq!(cancelled.unwrap(), outcome);
        let path = format!("DELETE /node/v1/sessions/{}/messages/out_1?epoch=7", session());
        assert_eq!(node.received()[0].request_line, path);
    }
    let node = node(&json!({ "outcome": "gone" })).await;
    let odd = client(TIMEOUT).cancel(&node.registered(), &session(), 7, "a/b").await;
    assert!(matches!(odd, Err(GatewayError::Broken(_))));
    assert_eq!(node.received(), []);
}

#[tokio::test]
async fn contacts_are_checked_in_their_order() {
    let contacts = json!([
        { "asked": "1", "registered": true, "jid": "2@s.whatsapp.net", "lid": "9@lid", "business": true },
        { "asked": "3", "registered": false, "jid": null, "lid": null },
    ]);
    let node = node(&json!({ "type": "contacts", "contacts": contacts })).await;
    let addresses = ["1", "3"].map(str::to_owned);
    let node_of = node.registered();
    let checked = client(TIMEOUT).check_contacts(&node_of, &session(), 7, &addresses).await;
    let known = ContactCheck {
        asked: "1".to_owned(),
        registered: true,
        jid: Some("2@s.whatsapp.net".to_owned()),
        lid: Some("9@lid".to_owned()),
        business: true,
    };
    let asked = "3".to_owned();
    let unknown = ContactCheck { asked, registered: false, jid: None, lid: None, business: false };
    assert_eq!(checked.unwrap(), [known, unknown]);
    let received = node.received().remove(0);
    assert_eq!(received.request_line, format!("POST /node/v1/sessions/{}:ask", session()));
    let ask = json!({ "epoch": 7, "ask": { "type": "checkContacts", "addresses": ["1", "3"] } });
    assert_eq!(received.body, Some(ask));
    let other = client(TIMEOUT).check_contacts(&node_of, &session(), 7, &addresses[..1]).await;
    assert!(matches!(other, Err(GatewayError::Broken(_))), "an answer about other addresses");
}

#[tokio::test]
async fn read_messages_and_activities_are_live_requests() {
    let node = node(&json!({ "type": "done" })).await;
    let (client, node_of) = (client(TIMEOUT), node.registered());
    let read = ReadMessages { chat: "1@lid".to_owned(), author: None, ids: vec!["A".to_owned()] };
    client.mark_read(&node_of, &session(), 7, &read).await.unwrap();
    let activity = ChatActivity::Recording;
    client.chat_presence(&node_of, &session(), 7, "1@lid", activity).await.unwrap();
    let asks: Vec<_> =
        node.received().into_iter().map(|r| r.body.unwrap()["ask"].clone()).collect();
    assert_eq!(
        asks,
        [
            json!({ "type": "markRead", "chat": "1@lid", "sender": null, "ids": ["A"] }),
            json!({ "type": "chatPresence", "chat": "1@lid", "state": "recording" }),
        ]
    );
    let checked = client.check_contacts(&node_of, &session(), 7, &[]).await;
    assert!(matches!(checked, Err(GatewayError::Broken(_))));
}

#[tokio::test]
async fn refusals_of_a_node_are_errors_of_the_port() {
    for (status, code, is_so) in [
        (409, "stale_epoch", (|error| matches!(error, GatewayError::Stale)) as fn(&_) -> bool),
        (404, "unknown_session", |error| matches!(error, GatewayError::Unknown)),
        (503, "unavailable", |error| matches!(error, GatewayError::Unavailable(_))),
        (400, "malformed", |error| matches!(error, GatewayError::Broken(_))),
    ] {
        let body = json!({ "code": code, "message": "why" }).to_string();
        let status = StatusCode::from_u16(status).unwrap();
        let node = ScriptedNode::start(Script::Respond(status, body)).await;
        let refused = client(TIMEOUT).send(&node.registered(), &session(), &messages()).await;
        assert!(is_so(&refused.unwrap_err()), "{code}");
    }
}
