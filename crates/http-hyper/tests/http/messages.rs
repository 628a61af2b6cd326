//! Chats and messages that arrived: lists, pages, single messages, events.

use domain::{
    AddressPair, ChatAddress, GatewayId, JournalFact, MessageKind, Timestamp, ports::Environment,
    testing::World,
};
use gateway_protocol::Register;
use http_hyper::{NodeApi, NodeTokens};
use serde_json::{Value, json};

use crate::{
    client::{Version, ask, send},
    event_client::EventClient,
    inbound::{PARTNER, phone, text},
    test_server::{TestServer, listen},
};

fn of(session: &impl std::fmt::Display) -> String {
    format!("/api/v1/sessions/{session}")
}

/// Returns the member `name` of every entry of a list, read page by page.
async fn all(server: &TestServer, path: &str, limit: u32, name: &str) -> Vec<Value> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let first = format!("{path}{separator}limit={limit}");
    let (mut at, mut found) = (first.clone(), Vec::new());
    loop {
        let answer = server.ask("acme", "GET", &at).await;
        assert_eq!(answer.status, 200, "{at}: {answer:?}");
        let page = answer.json();
        found.extend(page["data"].as_array().unwrap().iter().map(|entry| entry[name].clone()));
        match page["nextCursor"].as_str() {
            Some(cursor) => at = format!("{first}&cursor={cursor}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn delivered_text_is_in_the_lists_the_stream_and_the_chat() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let account = server.find(&session).await.observed.identity.unwrap().phone;
    let mut stream = EventClient::open(server.address, "reader", "event=message", "").await;
    let (incarnation, address) = ("first".to_owned(), "http://127.0.0.1:8082".to_owned());
    let nodes = nodes_listener(&server).await;
    let register = Register {
        incarnation: incarnation.clone(),
        address,
        version: "test 1".to_owned(),
        features: vec!["messages.v1".to_owned()],
        capacity: 10,
    };
    let answer = call(nodes, "enlist", &serde_json::to_value(register).unwrap()).await;
    assert_eq!(answer["boot"], 2);
    let now = server.world.environment.now().millis();
    let sent_at = now - 1_000;
    let item = json!({
        "seq": 4, "at": now, "kind": "message", "waId": "3EB0AA", "chat": "15551234567@s.whatsapp.net",
        "chatAlt": "99@lid", "sender": "15551234567@s.whatsapp.net", "senderAlt": "99@lid",
        "senderName": "Ada", "source": "contact", "sentAt": sent_at, "type": "text", "body": "Grüße 🧾",
        "replyTo": { "id": "3EB0BB" }, "mentions": ["99@lid"], "ephemeralSeconds": 604_800,
        "flags": ["forwarded"],
    });
    let delivery = json!({ "session": session.as_str(), "from": 4, "items": [item] });
    let deliveries = json!({
        "incarnation": incarnation,
        "journal": "j-1",
        "deliveries": [delivery, { "session": "sess_01JGXS1DN00000000000000001", "from": 1, "items": [item] }],
    });
    for _ in 0..2 {
        // The second delivery is a repetition, which stores nothing.
        let answer = call(nodes, "deliver", &deliveries).await;
        let gone = json!(["sess_01JGXS1DN00000000000000001"]);
        assert_eq!(answer, json!({ "through": { session.as_str(): 4 }, "gone": gone }));
    }
    let expected = json!({
        "id": 1, "sessionId": session.as_str(), "waMessageId": "3EB0AA", "outboxId": null, "chatId": 1,
        "chatJid": "15551234567@s.whatsapp.net", "chatLid": "99@lid", "chatPhone": "15551234567",
        "senderJid": "15551234567@s.whatsapp.net", "senderLid": "99@lid", "senderPhone": "15551234567",
        "senderName": "Ada", "direction": "in", "fromMe": false, "source": "contact", "type": "text",
        "body": "Grüße 🧾", "caption": null, "replyTo": { "id": "3EB0BB", "sender": null },
        "mentions": ["99@lid"], "hasMedia": false, "media": null, "location": null, "contacts": null,
        "poll": null, "reactions": [], "ackLevel": 2, "status": "delivered", "error": null,
        "edited": false, "editedAt": null, "deleted": false, "deletedBy": null, "forwarded": true,
        "ephemeralSeconds": 604_800, "undecryptable": false, "reference": null, "timestamp": sent_at,
        "createdAt": now, "updatedAt": now,
    });
    let list = server.ask("reader", "GET", &format!("{}/messages", of(&session))).await.json();
    assert_eq!(list, json!({ "data": [expected], "nextCursor": null }));
    for chat in ["1", "15551234567", "%2B15551234567", "99@lid", "15551234567@s.whatsapp.net"] {
        let path = format!("{}/chats/{chat}/messages", of(&session));
        assert_eq!(server.ask("member", "GET", &path).await.json(), list, "{chat}");
    }
    let view = server.ask("member", "GET", &format!("{}/messages/3EB0AA", of(&session))).await;
    assert_eq!(view.json(), expected);
    let chat = json!({
        "id": 1, "sessionId": session.as_str(), "jid": "15551234567@s.whatsapp.net", "lid": "99@lid",
        "phone": "15551234567", "type": "dm", "name": "Ada", "archived": null, "pinned": null,
        "mutedUntil": null, "unreadCount": 1, "lastMessageAt": sent_at, "ephemeralSeconds": 604_800,
        "lastMessage": {
            "id": 1, "waMessageId": "3EB0AA", "direction": "in", "type": "text", "body": "Grüße 🧾",
            "status": "delivered", "timestamp": sent_at,
        },
    });
    let chats = server.ask("reader", "GET", &format!("{}/chats", of(&session))).await.json();
    assert_eq!(chats, json!({ "data": [chat], "nextCursor": null }));
    let view = server.ask("reader", "GET", &format!("{}/chats/1", of(&session))).await.json();
    assert_eq!(view, chat);
    let event = stream.event().await;
    assert_eq!((&event["event"], &event["stream"]), (&json!("message"), &json!("messages")));
    assert_eq!((&event["sequence"], &event["session"]), (&json!(1), &json!(session.as_str())));
    for (name, value) in [
        ("waMessageId", json!("3EB0AA")),
        ("body", json!("Grüße 🧾")),
        ("bodyTruncated", json!(false)),
        ("chatJid", json!("15551234567@s.whatsapp.net")),
        ("senderLid", json!("99@lid")),
        ("removed", json!(false)),
    ] {
        assert_eq!(event["payload"][name], value, "{name}");
    }
    assert_ne!(account, PARTNER);
}

async fn nodes_listener(server: &TestServer) -> std::net::SocketAddr {
    let World { nodes, journals, environment, .. } = server.world.clone();
    let tokens = NodeTokens::new([(GatewayId::parse("gw-test").unwrap(), "one".to_owned())]);
    let api = NodeApi::new(nodes, journals, tokens, environment);
    listen(api.service(NodeApi::limits())).await.0
}

async fn call(to: std::net::SocketAddr, call: &str, body: &Value) -> Value {
    let request = ask("POST", &format!("/node/v1/gateways/gw-test:{call}"))
        .header("authorization", "Bearer one")
        .header("content-type", "application/json");
    let answer = send(to, Version::One, request, body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Row 25: the order of messages with equal times is that of their arrival, also across pages.
#[tokio::test]
async fn pages_have_every_message_once_while_messages_arrive() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let ids: Vec<_> = (0..50).map(|n| format!("3EB0{n:04}")).collect();
    let second = server.world.environment.now();
    let facts = ids.iter().map(|wa_id| {
        let mut message = text(&phone(PARTNER), wa_id, wa_id, second);
        if wa_id.ends_with('3') {
            // What the owner writes on the phone arrives in another order than the partner's texts.
            message.origin.sender = None;
        }
        JournalFact::Message(Box::new(message))
    });
    server.deliver(&session, facts.collect()).await;
    let expected: Vec<_> = ids.iter().rev().map(|id| json!(id)).collect();
    let path = format!("{}/messages", of(&session));
    for limit in [1, 7, 49, 50, 200] {
        assert_eq!(all(&server, &path, limit, "waMessageId").await, expected, "{limit}");
        let of_chat = format!("{}/chats/{PARTNER}/messages", of(&session));
        assert_eq!(all(&server, &of_chat, limit, "waMessageId").await, expected, "{limit}");
    }
    let first = server.ask("acme", "GET", &format!("{path}?limit=30")).await.json();
    server.deliver_texts(&session, PARTNER, &["3EB0NEW".to_owned()]).await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let rest = server.ask("acme", "GET", &format!("{path}?limit=30&cursor={cursor}")).await.json();
    let rest: Vec<_> =
        rest["data"].as_array().unwrap().iter().map(|it| &it["waMessageId"]).collect();
    assert_eq!(rest, expected[30..].iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn filters_narrow_the_list_and_belong_to_the_cursor() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let start = server.world.environment.now().millis();
    let ids: Vec<_> = (0..4).map(|n| format!("3EB0{n}")).collect();
    server.deliver_texts(&session, PARTNER, &ids).await;
    let mut own = text(&phone(PARTNER), "3EB0OWN", "own", server.world.environment.now());
    own.origin.sender = None;
    server.deliver(&session, vec![JournalFact::Message(Box::new(own))]).await;
    let path = format!("{}/messages", of(&session));
    for (query, expected) in [
        ("direction=out".to_owned(), vec!["3EB0OWN"]),
        ("direction=in&limit=1".to_owned(), vec!["3EB03"]),
        (format!("since={}&until={}", start + 1, start + 3), vec!["3EB02", "3EB01"]),
        ("status=delivered&limit=2".to_owned(), vec!["3EB03", "3EB02"]),
        ("status=queued".to_owned(), vec![]),
        ("reference=order-7".to_owned(), vec![]),
    ] {
        let page = server.ask("acme", "GET", &format!("{path}?{query}")).await.json();
        let data = page["data"].as_array().unwrap();
        let shown: Vec<_> = data.iter().map(|it| it["waMessageId"].as_str().unwrap()).collect();
        assert_eq!(shown, expected, "{query}");
    }
    let page = server.ask("acme", "GET", &format!("{path}?direction=in&limit=1")).await.json();
    let cursor = page["nextCursor"].as_str().unwrap().to_owned();
    let other = server.received().await.session;
    for wrong in [
        format!("{path}?limit=1&cursor={cursor}"),
        format!("{}/messages?direction=in&limit=1&cursor={cursor}", of(&other)),
        format!("{}/chats/1/messages?direction=in&cursor={cursor}", of(&session)),
        format!("{}/chats?cursor={cursor}", of(&session)),
    ] {
        let answer = server.ask("acme", "GET", &wrong).await;
        assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec!["cursor".to_owned()]));
    }
}

#[tokio::test]
async fn chats_are_listed_by_last_activity() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    for (n, number) in ["15550000011", "15550000012", "15550000013"].into_iter().enumerate() {
        server.deliver_texts(&session, number, &[format!("3EB0{n}")]).await;
    }
    let path = format!("{}/chats", of(&session));
    let phones = |shown: Vec<Value>| -> Vec<String> {
        shown.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let expected = ["15550000013", "15550000012", "15550000011"];
    for limit in [1, 2, 3] {
        assert_eq!(phones(all(&server, &path, limit, "phone").await), expected);
    }
    server.deliver_texts(&session, "15550000011", &["3EB0AGAIN".to_owned()]).await;
    let expected = ["15550000011", "15550000013", "15550000012"];
    assert_eq!(phones(all(&server, &path, 2, "phone").await), expected);
    let unread = all(&server, &format!("{path}?unread=true"), 2, "unreadCount").await;
    assert_eq!(unread, [json!(2), json!(1), json!(1)]);
    assert_eq!(all(&server, &format!("{path}?unread=false"), 2, "phone").await, [json!(null); 0]);
    let earlier = format!("{path}?account=15550009999");
    assert_eq!(all(&server, &earlier, 2, "phone").await, [json!(null); 0]);
}

/// Rows 6 and 7: a chat that begins under one address is the same chat under the other.
#[tokio::test]
async fn learnt_address_leads_to_the_same_chat() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let lid = ChatAddress::Lid("99".to_owned());
    let now = server.world.environment.now();
    let by_lid = text(&lid, "3EB0LID", "by lid", now);
    let by_phone = text(&phone(PARTNER), "3EB0PN", "by phone", now);
    let facts = [by_lid, by_phone].map(|message| JournalFact::Message(Box::new(message)));
    server.deliver(&session, facts.to_vec()).await;
    let path = format!("{}/chats", of(&session));
    assert_eq!(all(&server, &path, 9, "id").await, [json!(2), json!(1)]);
    let contact = domain::ContactFact { phone: Some(phone(PARTNER)), lid: Some(lid), name: None };
    server.deliver(&session, vec![JournalFact::Contacts(vec![contact])]).await;
    assert_eq!(all(&server, &path, 9, "id").await, [json!(1)]);
    for chat in ["1", "2", "99@lid", PARTNER] {
        let shown = server.ask("acme", "GET", &format!("{path}/{chat}")).await.json();
        assert_eq!(
            (&shown["id"], &shown["phone"], &shown["lid"]),
            (&json!(1), &json!(PARTNER), &json!("99@lid")),
            "{chat}"
        );
        let messages = all(&server, &format!("{path}/{chat}/messages"), 1, "waMessageId").await;
        assert_eq!(messages, [json!("3EB0PN"), json!("3EB0LID")], "{chat}");
    }
    let sender = all(&server, &format!("{path}/1/messages"), 9, "senderPhone").await;
    assert_eq!(sender, [json!(PARTNER), json!(PARTNER)]);
}

#[tokio::test]
async fn message_id_of_a_peer_hides_no_other_message() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let group = ChatAddress::Group("120363000".to_owned());
    let now = server.world.environment.now();
    let in_group = |from: Option<&str>, body: &str| {
        let mut message = text(&group, "3EB0SAME", body, now);
        let used = from.map(|from| AddressPair { used: phone(from), other: None });
        message.origin.sender = used;
        JournalFact::Message(Box::new(message))
    };
    let facts = vec![
        in_group(Some("15550000011"), "first"),
        in_group(Some("15550000012"), "crafted"),
        in_group(Some("15550000012"), "crafted again"),
        JournalFact::Message(Box::new(text(&phone(PARTNER), "3EB0SAME", "elsewhere", now))),
        in_group(None, "own"),
    ];
    server.deliver(&session, facts).await;
    let path = format!("{}/messages/3EB0SAME", of(&session));
    for (query, body) in [
        ("", "own"),
        ("?chat=120363000@g.us&sender=15550000011", "first"),
        ("?sender=15550000012@s.whatsapp.net", "crafted"),
        ("?chat=15551234567", "elsewhere"),
    ] {
        let shown = server.ask("acme", "GET", &format!("{path}{query}")).await.json();
        assert_eq!(shown["body"], body, "{query}");
    }
    let bodies = all(&server, &format!("{}/messages", of(&session)), 9, "body").await;
    assert_eq!(bodies, ["own", "elsewhere", "crafted", "first"].map(Value::from));
}

#[tokio::test]
async fn messages_of_a_stopped_session_are_readable() {
    let server = TestServer::open().await;
    let received = server.received().await;
    server.world.sessions.stop(&World::acme(), received.session.as_str(), None).await.unwrap();
    server.reconciler.round().await;
    let path = format!("{}/messages/{}", of(&received.session), received.wa_id);
    assert_eq!(server.ask("reader", "GET", &path).await.json()["body"], "canary text");
}

#[tokio::test]
async fn missing_chats_and_messages_are_one_answer() {
    let server = TestServer::open().await;
    let session = server.received().await.session;
    let mut answers = Vec::new();
    for chat in ["2", "0", "15550009999", "99@lid", "120363@newsletter", "%ff", "x", "99999999999"]
    {
        let path = format!("{}/chats/{chat}", of(&session));
        for path in [path.clone(), format!("{path}/messages")] {
            let answer = server.ask("acme", "GET", &path).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (404, "not_found"),
                "{path}"
            );
            answers.push(answer.comparable());
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    for id in ["3EB0NONE", "%00", &"x".repeat(200)] {
        let path = format!("{}/messages/{id}", of(&session));
        let answer = server.ask("acme", "GET", &path).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_found"), "{id}");
    }
}

#[tokio::test]
async fn message_events_need_the_capability_to_read() {
    let server = TestServer::open().await;
    let session = server.linked().await;
    let (here, elsewhere) =
        (format!("only-{}", session.id), "only-sess_01JGXS1DN00000000000000001");
    let callers = [
        ("acme", true),
        ("reader", true),
        (&here, true),
        ("manager", false),
        ("zeta", false),
        (elsewhere, false),
    ];
    let mut starts = Vec::new();
    for (caller, _) in callers {
        let start = server.ask(caller, "GET", "/api/v1/events").await.json();
        starts.push(start["nextCursor"].as_str().unwrap().to_owned());
    }
    server.received_by(&session).await;
    for ((caller, sees), start) in callers.into_iter().zip(starts) {
        let filter = format!("event=message.*&session={}", session.id);
        let path = format!("/api/v1/events?after={start}&{filter}");
        let page = server.ask(caller, "GET", &path).await.json();
        let events = page["data"].as_array().unwrap();
        assert_eq!(events.len(), usize::from(sees), "{caller}: {events:?}");
    }
}

#[tokio::test]
async fn caption_of_media_is_body_and_caption() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let mut message = text(&phone(PARTNER), "3EB0IMG", "a caption", Timestamp::from_millis(7));
    message.kind = MessageKind::Image;
    message.content = Some(vec![1, 2, 3]);
    message.details.media = Some(domain::MediaInfo {
        mime_type: Some("image/jpeg".to_owned()),
        file_name: Some("../é 🧾.jpg".to_owned()),
        ..domain::MediaInfo::default()
    });
    server.deliver(&session, vec![JournalFact::Message(Box::new(message))]).await;
    let shown =
        server.ask("acme", "GET", &format!("{}/messages/3EB0IMG", of(&session))).await.json();
    for (name, value) in [
        ("type", json!("image")),
        ("body", json!("a caption")),
        ("caption", json!("a caption")),
        ("hasMedia", json!(true)),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    let media = json!({
        "available": false, "mimeType": "image/jpeg", "size": null, "sha256": null,
        "fileName": "../é 🧾.jpg", "width": null, "height": null, "seconds": null, "voice": false,
    });
    assert_eq!(shown["media"], media);
}
