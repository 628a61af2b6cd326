//! Messages, faults and stanzas over the control interface.

use crate::control::ControlFixture;
use crate::engine::Engine;
use crate::{ANN, BOB};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Starts a network with Ann and Bob.
async fn fixture() -> ControlFixture {
    let fixture = ControlFixture::open().await;
    let bob = json!({ "number": BOB, "name": "Bob" });
    assert_eq!(fixture.post("/phones", bob).await.0, 201);
    fixture
}

async fn send(fixture: &ControlFixture, body: Value) -> Value {
    let (status, sent) = fixture.post(&format!("/phones/{ANN}/messages"), body).await;
    assert_eq!(status, 201, "{sent}");
    sent
}

async fn shown(fixture: &ControlFixture, query: &str) -> Vec<Value> {
    let (status, list) = fixture.get(&format!("/phones/{BOB}/messages{query}")).await;
    assert_eq!(status, 200, "{list}");
    list["messages"].as_array().unwrap().clone()
}

#[tokio::test]
async fn messages_are_written_listed_and_read() {
    let fixture = fixture().await;
    let sent = send(&fixture, json!({ "to": BOB, "text": "hello", "id": "ID1" })).await;
    assert_eq!(
        (&sent["id"], &sent["chat"], &sent["order"]),
        (&json!("ID1"), &json!(BOB), &json!(0))
    );
    let bulk = json!({ "to": format!("+{BOB}"), "texts": ["one", "two"] });
    let (status, ids) = fixture.post(&format!("/phones/{ANN}/messages:bulk"), bulk).await;
    assert_eq!((status, ids["ids"].as_array().unwrap().len()), (201, 2));
    let all = shown(&fixture, "").await;
    let texts: Vec<_> = all.iter().map(|m| m["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["hello", "one", "two"]);
    assert_eq!(
        (&all[0]["from"], &all[0]["fromMe"], &all[0]["kind"]),
        (&json!(ANN), &json!(false), &json!("text"))
    );
    assert_eq!(shown(&fixture, "?after=0").await.len(), 2);
    assert_eq!(shown(&fixture, "?id=ID1").await.len(), 1);
    assert_eq!(shown(&fixture, &format!("?chat=%2B{ANN}&after=1")).await.len(), 1);
    assert_eq!(shown(&fixture, "?chat=15559999999").await, [] as [Value; 0]);

    let read = format!("/phones/{BOB}/messages/ID1:read");
    assert_eq!(fixture.post(&read, json!({})).await, (200, json!({ "messages": 1 })));
    let play = format!("/phones/{BOB}/messages/ID1:play");
    assert_eq!(fixture.post(&play, json!({})).await.0, 200);
    let (_, own) = fixture.get(&format!("/phones/{ANN}/messages?id=ID1")).await;
    let receipts = own["messages"][0]["receipts"].as_array().unwrap();
    let kinds: Vec<_> = receipts.iter().map(|r| r["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["delivered", "read", "played"]);
    assert_eq!(receipts[0]["from"], BOB);
    let none = format!("/phones/{BOB}/messages/NONE:read");
    let (status, error) = fixture.post(&none, json!({})).await;
    assert_eq!((status, &error["error"]["code"]), (404, &json!("no_such_message")));
}

#[tokio::test]
async fn every_kind_of_content_is_shown_as_its_kind() {
    let fixture = fixture().await;
    send(&fixture, json!({ "to": BOB, "text": "first", "id": "FIRST" })).await;
    for (content, kind, text) in [
        (json!({ "kind": "image", "caption": "a view" }), "image", Some("a view")),
        (json!({ "kind": "video" }), "video", None),
        (json!({ "kind": "audio", "voice": true }), "audio", None),
        (json!({ "kind": "document", "fileName": "a.pdf" }), "document", None),
        (json!({ "kind": "sticker" }), "sticker", None),
        (json!({ "kind": "location", "latitude": 1.5, "longitude": -2.0 }), "location", None),
        (json!({ "kind": "contact", "name": "Cleo" }), "contact", None),
        (json!({ "kind": "poll", "name": "Tea?", "options": ["yes", "no"] }), "poll", Some("Tea?")),
        (json!({ "kind": "reaction", "target": "FIRST", "emoji": "x" }), "reaction", Some("x")),
        (json!({ "kind": "edit", "target": "FIRST", "text": "new" }), "edit", Some("new")),
        (json!({ "kind": "revoke", "target": "FIRST" }), "revoke", None),
        (json!({ "kind": "timer", "seconds": 86400 }), "timer", None),
        (json!({ "kind": "view-once" }), "view-once", None),
    ] {
        let sent = send(&fixture, json!({ "to": BOB, "content": content })).await;
        assert_eq!((&sent["kind"], sent["text"].as_str()), (&json!(kind), text));
        let id = sent["id"].as_str().unwrap();
        let shown = &shown(&fixture, &format!("?id={id}")).await[0];
        assert_eq!((&shown["kind"], shown["text"].as_str()), (&json!(kind), text));
        assert!(shown["content"].is_object(), "{shown}");
        if ["reaction", "edit", "revoke"].contains(&kind) {
            assert_eq!(shown["target"], "FIRST");
        }
    }
    let timed = json!({ "to": BOB, "text": "soon gone", "expiration": 90, "timestamp": 1000 });
    let sent = send(&fixture, timed).await;
    assert_eq!((&sent["expiration"], &sent["timestamp"]), (&json!(90), &json!(1000)));
}

#[tokio::test]
async fn hostile_messages_are_possible() {
    let fixture = fixture().await;
    let bytes = BASE64_STANDARD.encode([0xff; 20]);
    let sent = send(&fixture, json!({ "to": BOB, "protobuf": bytes })).await;
    assert_eq!(sent["kind"], "malformed");
    let long = "a\u{301}".repeat(40_000);
    let sent = send(&fixture, json!({ "to": BOB, "text": long })).await;
    assert_eq!(sent["text"].as_str().unwrap().len(), long.len());
    // An id of another sender.
    send(&fixture, json!({ "to": BOB, "text": "mine", "id": "SHARED" })).await;
    let other = json!({ "to": ANN, "text": "not yours", "id": "SHARED" });
    assert_eq!(fixture.post(&format!("/phones/{BOB}/messages"), other).await.0, 201);
    assert_eq!(shown(&fixture, "?id=SHARED").await.len(), 2);
    for bad in [
        json!({ "to": BOB }),
        json!({ "to": BOB, "text": "a", "conversation": "b" }),
        json!({ "to": BOB, "protobuf": "no base64" }),
        json!({ "to": BOB, "content": { "kind": "dance" } }),
        json!({ "to": BOB, "text": "a", "more": 1 }),
    ] {
        let (status, body) = fixture.post(&format!("/phones/{ANN}/messages"), bad).await;
        assert_eq!(status, 400, "{body}");
    }
    let nobody = json!({ "to": "15559999999", "text": "a" });
    let (status, body) = fixture.post(&format!("/phones/{ANN}/messages"), nobody).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("no_such_contact")));
}

#[tokio::test]
async fn phones_are_configured_over_http() {
    let fixture = fixture().await;
    let path = format!("/phones/{BOB}:configure");
    let changes = json!({ "aliases": ["155500000021"], "lidMigrated": true, "numberHidden": true,
        "readReceipts": false, "nctSalt": true, "props": { "9435": "1" } });
    let (status, phone) = fixture.post(&path, changes).await;
    assert_eq!((status, &phone["aliases"]), (200, &json!(["155500000021"])));
    for name in ["lidMigrated", "numberHidden", "nctSalt", "online"] {
        assert_eq!(phone[name], true, "{name}");
    }
    assert_eq!(phone["readReceipts"], false);
    assert_eq!(fixture.post(&path, json!({ "colour": 1 })).await.0, 400);
    let (status, phone) = fixture.post(&format!("/phones/{BOB}:offline"), json!({})).await;
    assert_eq!((status, &phone["online"]), (200, &json!(false)));
    send(&fixture, json!({ "to": "155500000021", "text": "later", "id": "OFF" })).await;
    assert_eq!(shown(&fixture, "").await, [] as [Value; 0]);
    let (status, body) =
        fixture.post(&format!("/phones/{BOB}/messages"), json!({ "to": ANN, "text": "x" })).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("phone_offline")));
    assert_eq!(fixture.post(&format!("/phones/{BOB}:online"), json!({})).await.0, 200);
    assert_eq!(shown(&fixture, "").await.len(), 1);
    // Without read receipts, the sender is told nothing.
    fixture.post(&format!("/phones/{BOB}/messages/OFF:read"), json!({})).await;
    let (_, own) = fixture.get(&format!("/phones/{ANN}/messages?id=OFF")).await;
    assert_eq!(own["messages"][0]["receipts"].as_array().unwrap().len(), 1);
    let typing = json!({ "to": BOB, "state": "recording" });
    assert_eq!(fixture.post(&format!("/phones/{ANN}:typing"), typing).await.0, 200);
    let presence = json!({ "state": "unavailable" });
    assert_eq!(fixture.post(&format!("/phones/{ANN}:presence"), presence).await.0, 200);
    let (_, seen) = fixture.get(&format!("/phones/{BOB}/observations")).await;
    let seen: Vec<_> =
        seen["observations"].as_array().unwrap().iter().map(|o| o["state"].clone()).collect();
    assert_eq!(seen, ["recording", "unavailable"]);
    let trust = json!({ "to": BOB });
    assert_eq!(fixture.post(&format!("/phones/{ANN}:trust"), trust).await.0, 200);
    assert_eq!(fixture.post(&format!("/phones/{ANN}:forget-sessions"), json!({})).await.0, 200);
}

#[tokio::test]
async fn faults_are_planned_listed_and_removed() {
    let fixture = fixture().await;
    let rule = json!({ "on": "message", "action": "error", "code": 463, "times": null,
        "to": BOB, "unlessToken": true });
    assert_eq!(fixture.post("/faults", rule).await, (201, json!({ "id": 1 })));
    let query = json!({ "on": "iq", "namespace": "usync", "child": "usync", "action": "delay", "delayMs": 5 });
    assert_eq!(fixture.post("/faults", query).await.0, 201);
    let silence = json!({ "on": "everything", "action": "swallow", "times": null, "from": ANN });
    assert_eq!(fixture.post("/faults", silence).await.0, 201);
    let (_, listed) = fixture.get("/faults").await;
    let listed = listed["faults"].as_array().unwrap();
    assert_eq!(
        (listed.len(), &listed[0]["code"], &listed[0]["times"]),
        (3, &json!(463), &Value::Null)
    );
    assert_eq!((&listed[1]["delayMs"], &listed[1]["times"]), (&json!(5), &json!(1)));
    assert_eq!(fixture.send("DELETE", "/faults/1", "").await.0, 200);
    assert_eq!(fixture.send("DELETE", "/faults/1", "").await.0, 404);
    let (status, _, left) = fixture.send("DELETE", "/faults", "").await;
    assert_eq!((status, left), (200, json!({ "faults": [] })));
    for bad in [
        json!({ "on": "message", "action": "error" }),
        json!({ "on": "message", "action": "delay" }),
        json!({ "on": "everything", "action": "lose-ack" }),
        json!({ "on": "message", "action": "swallow", "namespace": "x" }),
        json!({ "on": "dance", "action": "swallow" }),
    ] {
        assert_eq!(fixture.post("/faults", bad.clone()).await.0, 400, "{bad}");
    }
    assert_eq!(fixture.get("/settings").await.1, json!({ "deduplicate": true }));
    let off = json!({ "deduplicate": false });
    assert_eq!(fixture.post("/settings", off.clone()).await, (200, off));
}

#[tokio::test]
async fn wire_shows_the_stanzas_of_a_device() {
    let fixture = fixture().await;
    let ann = fixture.simulator.phone(ANN).unwrap();
    let engine = Engine::link(&fixture.simulator, &ann).await;
    engine.send(&crate::jid(BOB), "counted", "W1").await;
    engine.wait_receipt("Delivered", "W1").await;
    let device = format!("{ANN}:{}", engine.device.id);
    let (status, wire) = fixture.get(&format!("/wire?device={device}&id=W1&direction=in")).await;
    assert_eq!((status, &wire["counts"]["in"]["message"]), (200, &json!(1)));
    let stanza = &wire["stanzas"][0];
    assert_eq!((&stanza["kind"], &stanza["participants"]), (&json!("message"), &json!(2)));
    assert!(stanza["at"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(fixture.get("/wire").await.0, 400);
    assert_eq!(fixture.get(&format!("/wire?device={device}&direction=up")).await.0, 400);

    let stanza = json!({ "tag": "message", "attrs": { "from": crate::jid(BOB), "id": "RAW", "t": "1",
        "type": "text" }, "children": [{ "tag": "enc", "attrs": { "type": "msg", "v": "2" },
        "base64": BASE64_STANDARD.encode([1, 2, 3]) }] });
    let path = format!("/phones/{ANN}/devices/{}:send-stanza", engine.device.id);
    assert_eq!(fixture.post(&path, stanza).await.0, 200);
    engine
        .wait("undecryptable message", |events| {
            use wacore::types::events::Event;
            let is_it = |event: &Event| matches!(event, Event::UndecryptableMessage(_));
            events.iter().find_map(|event| is_it(event).then_some(()))
        })
        .await;
    assert_eq!(fixture.post(&path, json!({ "tag": "iq" })).await.0, 400);
    assert_eq!(fixture.send("DELETE", "/wire", "").await.0, 200);
}
