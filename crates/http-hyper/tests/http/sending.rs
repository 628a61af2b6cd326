//! Messages to send: accepted, queued, refused, cancelled, repeated; receipts, activities and contacts.

mod queue;

use std::time::Duration;

use domain::{
    ChatReference, FailureReason, JournalFact, NewMessage, OutboxId, SendMode, SendOutcome,
    SendResult, SessionId, SettingsPatch, WaMessageId,
    ports::{ChatActivity, ContactCheck, Environment, HandOverOutcome, HandOverRefusal},
    testing::{CANARY, World},
};
use serde_json::{Value, json};

use crate::{
    client::{ReceivedResponse, Version, ask, send},
    event_client::EventClient,
    inbound::{PARTNER, phone, text},
    test_server::TestServer,
};

fn messages(session: &SessionId) -> String {
    format!("/api/v1/sessions/{session}/messages")
}

fn hello() -> Value {
    json!({ "to": PARTNER, "text": format!("{CANARY} Grüße 🧾") })
}

impl TestServer {
    /// Accepts a message of acme for a session that is not connected. Returns the ids of the session
    /// and of the message.
    pub(crate) async fn queued(&self) -> String {
        let session = self.linked().await.id;
        self.world.sessions.stop(&World::acme(), session.as_str(), None).await.unwrap();
        self.reconciler.round().await;
        let message = NewMessage {
            to: ChatReference::Digits(PARTNER.to_owned()),
            text: format!("{CANARY} text"),
            expires_at: None,
            typing_millis: None,
            reference: Some("order-4711".to_owned()),
        };
        let outbox = &self.world.outbox;
        let sent =
            outbox.send(&World::acme(), session.as_str(), &message, SendMode::Async, None).await;
        format!("{session}|{}", sent.unwrap().shown.message.wa_id)
    }

    async fn send_with_key(&self, path: &str, key: &str, body: &Value) -> ReceivedResponse {
        let request = ask("POST", path)
            .header("authorization", "Bearer reader")
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        let answer = send(self.address, Version::One, request, body.to_string()).await;
        crate::conformity::assert_documented("POST", path, &answer);
        answer
    }

    /// Returns the only message of a session.
    async fn only(&self, session: &SessionId) -> Value {
        let list = self.ask("reader", "GET", &messages(session)).await.json();
        let data = list["data"].as_array().unwrap();
        assert_eq!(data.len(), 1, "{list}");
        data[0].clone()
    }
}

/// Returns the status, the error code and the name of a detail.
fn refusal(answer: &ReceivedResponse) -> (u16, String, Value) {
    let reason = answer.json()["error"]["details"]["reason"].clone();
    (answer.status.as_u16(), answer.code(), reason)
}

#[tokio::test]
async fn text_is_sent_under_one_id_and_told_to_the_stream() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let mut stream = EventClient::open(server.address, "reader", "event=message.status", "").await;
    let body = json!({ "to": format!("+{PARTNER}"), "type": "text", "text": "Grüße 🧾",
        "typing": 1500, "reference": "order-4711" });
    let sent = server.post("reader", &messages(&session), &body).await;
    assert_eq!(sent.status, 200, "{sent:?}");
    let result = sent.json();
    let id = result["waMessageId"].as_str().unwrap();
    assert!(id.starts_with("3EB0") && id.len() == 22, "{id}");
    let expected = json!({
        "mode": "sync", "outboxId": result["outboxId"], "replayed": false, "status": "sent",
        "timestamp": result["timestamp"], "waMessageId": id, "messageId": id, "chatId": 1,
        "chatJid": "15551234567@s.whatsapp.net", "error": null, "queuePosition": null,
    });
    assert_eq!(result, expected);
    let message = server.only(&session).await;
    for (name, value) in [
        ("body", json!("Grüße 🧾")),
        ("direction", json!("out")),
        ("source", json!("api")),
        ("fromMe", json!(true)),
        ("status", json!("sent")),
        ("ackLevel", json!(1)),
        ("outboxId", result["outboxId"].clone()),
        ("reference", json!("order-4711")),
        ("waMessageId", json!(id)),
    ] {
        assert_eq!(message[name], value, "{name} of {message}");
    }
    let event = stream.event().await;
    let payload = &event["payload"];
    assert_eq!((&payload["status"], &payload["previous"]), (&json!("sent"), &json!("queued")));
    assert_eq!(
        (&payload["waMessageId"], &payload["reference"]),
        (&json!(id), &json!("order-4711"))
    );
    assert_eq!(server.world.messaging.asked(), [PARTNER]);
}

#[tokio::test]
async fn async_message_waits_for_the_connection_in_order() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    server.world.sessions.stop(&World::acme(), session.as_str(), None).await.unwrap();
    server.reconciler.round().await;
    for (position, form) in ["async", "async=true", "async="].into_iter().enumerate() {
        let body = json!({ "to": PARTNER, "text": form });
        let path = format!("{}?{form}", messages(&session));
        let queued = server.post("reader", &path, &body).await;
        assert_eq!(queued.status, 202, "{queued:?}");
        let queued = queued.json();
        let told = [&queued["mode"], &queued["status"], &queued["queuePosition"]];
        assert_eq!(told, [&json!("async"), &json!("queued"), &json!(position)]);
    }
    for sync in [messages(&session), format!("{}?async=false", messages(&session))] {
        let refused = server.post("reader", &sync, &hello()).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "unavailable"));
        assert_eq!(refused.header("retry-after"), "5");
    }
    server.reconciler.send_messages().await;
    assert_eq!(server.world.messaging.take_handed(), []);
    server.world.sessions.start(&World::acme(), session.as_str(), None).await.unwrap();
    for _ in 0..4 {
        server.reconciler.round().await;
        server.reconciler.send_messages().await;
    }
    let list = server.ask("reader", "GET", &format!("{}?status=sent", messages(&session))).await;
    let bodies: Vec<_> =
        list.json()["data"].as_array().unwrap().iter().map(|it| it["body"].clone()).collect();
    assert_eq!(bodies.len(), 3, "{list:?}");
    let none = server.ask("reader", "GET", &format!("{}?status=queued", messages(&session))).await;
    assert_eq!(none.json()["data"], json!([]));
}

/// Row 20 of the list of what users of others suffer: a number without an account is refused at once.
#[tokio::test]
async fn number_without_an_account_is_refused_at_once_and_remembered() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let unknown = ContactCheck {
        asked: PARTNER.to_owned(),
        registered: false,
        jid: None,
        lid: None,
        business: false,
    };
    server.world.messaging.set_contact(unknown);
    for _ in 0..2 {
        let refused = server.post("reader", &messages(&session), &hello()).await;
        let expected = (422, "undeliverable".to_owned(), json!("not_on_whatsapp"));
        assert_eq!(refusal(&refused), expected);
    }
    assert_eq!(server.world.messaging.asked(), [PARTNER], "the answer is stored");
    let list = server.ask("reader", "GET", &messages(&session)).await.json();
    assert_eq!(list["data"], json!([]));
}

#[tokio::test]
async fn unconfirmed_number_without_an_account_fails_later() {
    let server = TestServer::open().await;
    let ids = server.queued().await;
    let (session, wa_id) = ids.split_once('|').unwrap();
    let unknown = ContactCheck {
        asked: PARTNER.to_owned(),
        registered: false,
        jid: None,
        lid: None,
        business: false,
    };
    server.world.messaging.set_contact(unknown);
    server.world.sessions.start(&World::acme(), session, None).await.unwrap();
    server.reconciler.round().await;
    server.reconciler.send_messages().await;
    let path = format!("/api/v1/sessions/{session}/messages/{wa_id}");
    let message = server.ask("reader", "GET", &path).await.json();
    let told = [&message["status"], &message["error"]["code"], &message["ackLevel"]];
    assert_eq!(told, [&json!("failed"), &json!("not_on_whatsapp"), &json!(-1)]);
}

#[tokio::test]
async fn number_goes_to_the_account_that_whatsapp_names() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let canonical = ContactCheck {
        asked: "5215512345678".to_owned(),
        registered: true,
        jid: Some("525512345678@s.whatsapp.net".to_owned()),
        lid: Some("77@lid".to_owned()),
        business: true,
    };
    server.world.messaging.set_contact(canonical);
    let body = json!({ "to": "+5215512345678", "text": "x" });
    let sent = server.post("reader", &messages(&session), &body).await.json();
    assert_eq!(sent["chatJid"], json!("525512345678@s.whatsapp.net"));
    let again = json!({ "to": "525512345678", "text": "x" });
    let again = server.post("reader", &messages(&session), &again).await.json();
    assert_eq!(again["chatId"], sent["chatId"]);
    let check = format!("/api/v1/sessions/{session}/contacts/check?phone=%2B5215512345678");
    let check = server.ask("reader", "GET", &check).await;
    let expected = json!({
        "asked": "5215512345678", "registered": true, "phone": "525512345678",
        "jid": "525512345678@s.whatsapp.net", "lid": "77@lid", "business": true,
    });
    assert_eq!((check.status.as_u16(), check.json()), (200, expected));
    for wrong in ["", "?phone=", "?phone=abc", "?phone=77@lid", "?phone=123", "?phone=1&phone=2"] {
        let path = format!("/api/v1/sessions/{session}/contacts/check{wrong}");
        let refused = server.ask("reader", "GET", &path).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "validation_error"));
        assert_eq!(refused.json()["error"]["details"]["fields"][0]["parameter"], json!("phone"));
    }
}

#[tokio::test]
async fn repeated_request_shows_the_message_as_it_is_then() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    server.world.sessions.stop(&World::acme(), session.as_str(), None).await.unwrap();
    server.reconciler.round().await;
    let path = format!("{}?async", messages(&session));
    let first = server.send_with_key(&path, "one", &hello()).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (202, ""));
    let first = first.json();
    let again = server.send_with_key(&path, "one", &hello()).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (202, "true"));
    let mut expected = first.clone();
    expected["replayed"] = json!(true);
    assert_eq!(again.json(), expected);
    let other = server.send_with_key(&path, "one", &json!({ "to": PARTNER, "text": "y" })).await;
    assert_eq!((other.status.as_u16(), other.code().as_str()), (409, "conflict"));
    server.world.sessions.start(&World::acme(), session.as_str(), None).await.unwrap();
    server.reconciler.round().await;
    server.reconciler.send_messages().await;
    let sent = server.send_with_key(&path, "one", &hello()).await;
    assert_eq!((sent.status.as_u16(), sent.header("idempotency-replayed")), (200, "true"));
    let sent = sent.json();
    assert_eq!((&sent["status"], &sent["waMessageId"]), (&json!("sent"), &first["waMessageId"]));
    server.only(&session).await;
    assert!(server.world.memory.idempotency_records().is_empty(), "no response is stored");
}

#[tokio::test]
async fn refusal_by_whatsapp_is_422_with_the_ids() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let refused = HandOverOutcome::Refused(HandOverRefusal::Invalid);
    server.world.messaging.set_outcome(refused);
    let answer = server.send_with_key(&messages(&session), "one", &hello()).await;
    assert_eq!(refusal(&answer), (422, "undeliverable".to_owned(), json!("internal")));
    let again = server.send_with_key(&messages(&session), "one", &hello()).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (422, "true"));
    assert_eq!(again.json(), answer.json());
    let message = server.only(&session).await;
    let details = answer.json()["error"]["details"].clone();
    assert_eq!(details["waMessageId"], message["waMessageId"]);
    assert_eq!(details["outboxId"], message["outboxId"]);
    assert_eq!(message["error"]["code"], json!("internal"));
}

#[tokio::test]
async fn message_that_whatsapp_does_not_acknowledge_in_time_is_202() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    // The node takes nothing, and the message stays queued.
    let busy = HandOverOutcome::Refused(HandOverRefusal::QueueFull);
    server.world.messaging.set_outcome(busy);
    let before = server.world.environment.now();
    let answer = server.post("reader", &messages(&session), &hello()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let waited = before.until(server.world.environment.now());
    assert!(waited >= Duration::from_secs(10), "{waited:?}");
    let result = answer.json();
    let told = [&result["status"], &result["queuePosition"], &result["mode"]];
    assert_eq!(told, [&json!("queued"), &json!(0), &json!("sync")]);
}

#[tokio::test]
async fn chat_is_read_with_and_without_receipts() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let now = server.world.environment.now();
    let facts = ["3EB0AA", "3EB0BB", "3EB0CC"].into_iter().enumerate().map(|(n, id)| {
        let at = now.plus(Duration::from_millis(u64::try_from(n).unwrap()));
        JournalFact::Message(Box::new(text(&phone(PARTNER), id, "x", at)))
    });
    server.world.environment.advance(Duration::from_secs(1));
    server.deliver(&session, facts.collect()).await;
    let path = format!("/api/v1/sessions/{session}/chats/{PARTNER}/read");
    let none = server.post("reader", &path, &json!({ "upTo": "3EB0FF" })).await;
    assert_eq!(none.json()["error"]["details"]["fields"][0]["pointer"], json!("/upTo"));
    let part = server.post("reader", &path, &json!({ "upTo": "3EB0BB" })).await;
    assert_eq!((part.status.as_u16(), part.json()["unreadCount"].clone()), (200, json!(1)));
    let receipts = server.world.messaging.read();
    let mut ids = receipts[0].ids.clone();
    ids.sort_unstable();
    assert_eq!((receipts.len(), &*receipts[0].chat), (1, "15551234567@s.whatsapp.net"));
    assert_eq!(ids, ["3EB0AA", "3EB0BB"]);
    for _ in 0..2 {
        let rest = server.post("reader", &path, &json!({ "receipts": false })).await;
        assert_eq!((rest.status.as_u16(), rest.json()["unreadCount"].clone()), (200, json!(0)));
    }
    assert_eq!(server.world.messaging.read().len(), 1, "no sender learnt of the last message");
}

#[tokio::test]
async fn activity_is_shown_in_a_chat() {
    let server = TestServer::open().await;
    let received = server.received().await;
    let path = format!("/api/v1/sessions/{}/chats/{}/presence", received.session, received.chat);
    for state in ["composing", "recording", "paused"] {
        let body = json!({ "state": state });
        let answer = server.say(Version::One, "reader", "PUT", &path, Some(&body)).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }
    let jid = || "15551234567@s.whatsapp.net".to_owned();
    let shown = [ChatActivity::Composing, ChatActivity::Recording, ChatActivity::Paused];
    assert_eq!(server.world.messaging.activities(), shown.map(|activity| (jid(), activity)));
    server.world.messaging.set_down(true);
    let body = json!({ "state": "paused" });
    let answer = server.say(Version::One, "reader", "PUT", &path, Some(&body)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "unavailable"));
}

#[tokio::test]
async fn faults_of_a_message_name_their_fields() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let before = server.fingerprint();
    for (body, field) in [
        (json!({ "text": "x" }), "/to"),
        (json!({ "to": PARTNER }), "/text"),
        (json!({ "to": PARTNER, "text": "" }), "/text"),
        (json!({ "to": PARTNER, "text": "x".repeat(65_537) }), "/text"),
        (json!({ "to": PARTNER, "text": "é".repeat(32_769) }), "/text"),
        (json!({ "to": PARTNER, "text": "x", "type": "video" }), "/type"),
        (json!({ "to": "12@newsletter", "text": "x" }), "/to"),
        (json!({ "to": "status@broadcast", "text": "x" }), "/to"),
        (json!({ "to": "12-34@g.us", "text": "x" }), "/to"),
        (json!({ "to": "0", "text": "x" }), "/to"),
        (json!({ "to": "7", "text": "x" }), "/to"),
        (json!({ "to": PARTNER, "text": "x", "expiresAt": 1 }), "/expiresAt"),
        (json!({ "to": PARTNER, "text": "x", "typing": 25_001 }), "/typing"),
        (json!({ "to": PARTNER, "text": "x", "reference": "r".repeat(129) }), "/reference"),
        (json!({ "to": PARTNER, "text": "x", "surprise": 1 }), "/surprise"),
    ] {
        let refused = server.post("reader", &messages(&session), &body).await;
        assert_eq!(refused.status, 400, "{field}: {refused:?}");
        let fields = refused.json()["error"]["details"]["fields"].clone();
        assert_eq!(fields[0]["pointer"], json!(field), "{fields}");
        assert_eq!(fields.as_array().unwrap().len(), 1, "{fields}");
    }
    let latin = ask("POST", &messages(&session))
        .header("authorization", "Bearer reader")
        .header("content-type", "application/json");
    let latin = send(
        server.address,
        Version::One,
        latin,
        &b"{\"to\":\"15551234567\",\"text\":\"\xe9\"}"[..],
    )
    .await;
    assert_eq!((latin.status.as_u16(), latin.code().as_str()), (400, "validation_error"));
    let wrong = format!("{}?async=maybe", messages(&session));
    let refused = server.post("reader", &wrong, &hello()).await;
    assert_eq!(refused.json()["error"]["details"]["fields"][0]["parameter"], json!("async"));
    assert_eq!(server.fingerprint(), before);
    let longest = json!({ "to": PARTNER, "text": "x".repeat(65_536) });
    assert_eq!(server.post("reader", &messages(&session), &longest).await.status, 200);
    let escaped = format!(r#"{{"to":"{PARTNER}","text":"{}"}}"#, "\\u0078".repeat(65_536));
    let request = ask("POST", &messages(&session))
        .header("authorization", "Bearer reader")
        .header("content-type", "application/json");
    assert_eq!(send(server.address, Version::Two, request, escaped).await.status, 200);
    let large = json!({ "to": PARTNER, "text": "x", "reference": "r".repeat(512 * 1024) });
    let refused = server.post("reader", &messages(&session), &large).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (413, "payload_too_large"));
}
