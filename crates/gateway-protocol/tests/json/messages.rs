//! The JSON text of deliveries, of messages to send and of live requests.

use std::collections::BTreeMap;

use gateway_protocol::{
    AckItem, Answer, Ask, Base64Bytes, CancelOutcome, Cancelled, ChatActivity, ChatItem,
    CheckedContact, ContactItem, ContactNames, Delivered, Deliveries, JournalEntry, JournalItem,
    MediaDescription, MessageFlag, MessageItem, MessageSource, MessageType, MessagesTaken,
    OutgoingContent, OutgoingMessage, Question, QuotedMessage, ReceiptItem, ReceiptLevel,
    RefusedCode, RefusedMessage, SendMessages, SendResultItem, SendState, SessionDelivery,
    TakenMessage, TargetMessage, UndecryptableItem, UndecryptableReason, send_failure,
};

use crate::assert_json;

fn assert_item(item: JournalItem, fields: &str) {
    let entry = JournalEntry { seq: 7, at: 8, item };
    assert_json(&entry, &format!(r#"{{"seq":7,"at":8,{fields}}}"#));
}

fn text() -> MessageItem {
    MessageItem {
        wa_id: "3EB0".to_owned(),
        chat: "99@lid".to_owned(),
        chat_alt: Some("15550001@s.whatsapp.net".to_owned()),
        sender: Some("99@lid".to_owned()),
        sender_alt: None,
        sender_name: Some("Ada".to_owned()),
        source: MessageSource::Contact,
        sent_at: 5_000,
        message_type: MessageType::Text,
        body: Some("hi".to_owned()),
        reply_to: None,
        mentions: Vec::new(),
        ephemeral_seconds: None,
        media: None,
        target: None,
        content: None,
        flags: Vec::new(),
    }
}

const TEXT: &str = r#""kind":"message","waId":"3EB0","chat":"99@lid","chatAlt":"15550001@s.whatsapp.net","sender":"99@lid","senderAlt":null,"senderName":"Ada","source":"contact","sentAt":5000,"type":"text","body":"hi","replyTo":null,"mentions":[],"ephemeralSeconds":null,"media":null,"target":null,"content":null,"flags":[]"#;

#[test]
fn delivery_carries_sessions_with_items_in_order() {
    let entry = |seq| JournalEntry { seq, at: 8, item: JournalItem::Message(Box::new(text())) };
    let delivery =
        SessionDelivery { session: "sess_1".to_owned(), from: 3, items: vec![entry(3), entry(9)] };
    let request = Deliveries {
        incarnation: "inc".to_owned(),
        journal: "j".to_owned(),
        deliveries: vec![delivery],
    };
    assert_json(
        &request,
        &format!(
            r#"{{"incarnation":"inc","journal":"j","deliveries":[{{"session":"sess_1","from":3,"items":[{{"seq":3,"at":8,{TEXT}}},{{"seq":9,"at":8,{TEXT}}}]}}]}}"#
        ),
    );
    let answer = Delivered {
        through: BTreeMap::from([("sess_1".to_owned(), 9)]),
        gone: vec!["sess_2".to_owned()],
    };
    assert_json(&answer, r#"{"through":{"sess_1":9},"gone":["sess_2"]}"#);
}

#[test]
fn message_with_media_has_its_content_as_base64() {
    let message = MessageItem {
        sender: None,
        source: MessageSource::Phone,
        message_type: MessageType::Image,
        reply_to: Some(QuotedMessage { id: "A".to_owned(), sender: None }),
        mentions: vec!["1@lid".to_owned()],
        media: Some(MediaDescription { size: Some(3), ..MediaDescription::default() }),
        target: Some(TargetMessage { id: "B".to_owned(), chat: None, sender: None, from_me: true }),
        content: Some(Base64Bytes(vec![0xff, 0, 1])),
        flags: vec![MessageFlag::Forwarded, MessageFlag::BodyTruncated],
        ..text()
    };
    let json = serde_json::to_value(&message).unwrap();
    assert_eq!(json["content"], "/wAB");
    assert_eq!(json["flags"], serde_json::json!(["forwarded", "bodyTruncated"]));
    assert_eq!(json["source"], "phone");
    assert_eq!(json["type"], "image");
    assert_eq!(json["replyTo"], serde_json::json!({"id": "A", "sender": null}));
    assert_eq!(
        json["media"],
        serde_json::json!({"mimeType": null, "size": 3, "sha256": null, "fileName": null, "width": null, "height": null, "seconds": null, "voice": false})
    );
    assert_eq!(
        json["target"],
        serde_json::json!({"id": "B", "chat": null, "sender": null, "fromMe": true})
    );
    assert_eq!(serde_json::from_value::<MessageItem>(json).unwrap(), message);
}

#[test]
fn every_other_kind_of_item_is_camel_case() {
    assert_item(
        JournalItem::Undecryptable(UndecryptableItem {
            wa_id: "A".to_owned(),
            chat: "1@lid".to_owned(),
            chat_alt: None,
            sender: Some("1@lid".to_owned()),
            sender_alt: None,
            sender_name: None,
            source: MessageSource::Contact,
            sent_at: 1,
            reason: UndecryptableReason::ViewOnce,
            hidden: true,
        }),
        r#""kind":"undecryptable","waId":"A","chat":"1@lid","chatAlt":null,"sender":"1@lid","senderAlt":null,"senderName":null,"source":"contact","sentAt":1,"reason":"viewOnce","hidden":true"#,
    );
    assert_item(
        JournalItem::Ack(AckItem {
            outbox: "out_1".to_owned(),
            wa_id: "A".to_owned(),
            sent_at: Some(1_000),
            code: Some(463),
            reason: Some(send_failure::REACHOUT_LIMITED.to_owned()),
        }),
        r#""kind":"ack","outbox":"out_1","waId":"A","sentAt":1000,"code":463,"reason":"reachout_limited""#,
    );
    assert_item(
        JournalItem::Receipt(ReceiptItem {
            chat: "g@g.us".to_owned(),
            chat_alt: None,
            participant: Some("1@lid".to_owned()),
            participant_alt: None,
            ids: vec!["A".to_owned()],
            level: ReceiptLevel::ReadSelf,
            received_at: 2,
            offline: true,
        }),
        r#""kind":"receipt","chat":"g@g.us","chatAlt":null,"participant":"1@lid","participantAlt":null,"ids":["A"],"level":"readSelf","receivedAt":2,"offline":true"#,
    );
    let names =
        ContactNames { lid: Some("99".to_owned()), phone: Some("1".to_owned()), name: None };
    assert_item(
        JournalItem::Contact(ContactItem { contacts: vec![names] }),
        r#""kind":"contact","contacts":[{"lid":"99","phone":"1","name":null}]"#,
    );
    assert_item(
        JournalItem::Chat(ChatItem {
            chat: "1@lid".to_owned(),
            chat_alt: None,
            ephemeral_seconds: 0,
            changed_at: 3,
            sender: None,
        }),
        r#""kind":"chat","chat":"1@lid","chatAlt":null,"ephemeralSeconds":0,"changedAt":3,"sender":null"#,
    );
    assert_item(
        JournalItem::SendResult(SendResultItem {
            outbox: "out_1".to_owned(),
            wa_id: "A".to_owned(),
            state: SendState::Uncertain,
            code: None,
        }),
        r#""kind":"sendResult","outbox":"out_1","waId":"A","state":"uncertain","code":null"#,
    );
}

#[test]
fn values_of_a_newer_node_are_unknown_and_never_an_error() {
    let entry: JournalEntry =
        serde_json::from_str(r#"{"seq":1,"at":2,"kind":"presence","who":"x"}"#).unwrap();
    assert_eq!(entry.item, JournalItem::Unknown);
    let newer = format!(r#"{{"seq":1,"at":2,{TEXT}}}"#)
        .replace(r#""type":"text""#, r#""type":"hologram","depth":3"#);
    let entry: JournalEntry = serde_json::from_str(&newer).unwrap();
    let JournalItem::Message(message) = entry.item else { panic!("{entry:?}") };
    assert_eq!(message.message_type, MessageType::Unknown);
}

#[test]
fn messages_to_send_and_their_answer_are_camel_case() {
    let message = OutgoingMessage {
        outbox: "out_1".to_owned(),
        chat: 4,
        wa_id: "3EB0".to_owned(),
        to: "1@s.whatsapp.net".to_owned(),
        content: OutgoingContent::Text { text: "hi".to_owned() },
        typing_ms: Some(900),
        ephemeral: None,
        not_after: 9,
    };
    let request = SendMessages { epoch: 2, account: None, items: vec![message.clone()] };
    assert_json(
        &request,
        r#"{"epoch":2,"account":null,"items":[{"outbox":"out_1","chat":4,"waId":"3EB0","to":"1@s.whatsapp.net","content":{"type":"text","text":"hi"},"typingMs":900,"ephemeral":null,"notAfter":9}]}"#,
    );
    let bare: OutgoingMessage = serde_json::from_str(
        r#"{"outbox":"out_1","chat":4,"waId":"3EB0","to":"1@s.whatsapp.net","content":{"type":"dance","steps":3},"notAfter":9}"#,
    )
    .unwrap();
    let unknown = OutgoingContent::Unknown;
    assert_eq!(bare, OutgoingMessage { content: unknown, typing_ms: None, ..message });
    let answer = MessagesTaken {
        taken: vec![TakenMessage {
            outbox: "out_1".to_owned(),
            state: SendState::Written,
            code: None,
        }],
        refused: vec![RefusedMessage {
            outbox: "out_2".to_owned(),
            code: RefusedCode::OtherAccount,
        }],
    };
    assert_json(
        &answer,
        r#"{"taken":[{"outbox":"out_1","state":"written","code":null}],"refused":[{"outbox":"out_2","code":"other_account"}]}"#,
    );
    assert_json(&Cancelled { outcome: CancelOutcome::TooLate }, r#"{"outcome":"tooLate"}"#);
}

#[test]
fn live_requests_and_their_answers_are_camel_case() {
    let ask = |ask| Ask { epoch: 2, ask };
    assert_json(
        &ask(Question::CheckContacts { addresses: vec!["15550001".to_owned()] }),
        r#"{"epoch":2,"ask":{"type":"checkContacts","addresses":["15550001"]}}"#,
    );
    assert_json(
        &ask(Question::MarkRead {
            chat: "1@lid".to_owned(),
            sender: None,
            ids: vec!["A".to_owned()],
        }),
        r#"{"epoch":2,"ask":{"type":"markRead","chat":"1@lid","sender":null,"ids":["A"]}}"#,
    );
    assert_json(
        &ask(Question::ChatPresence { chat: "1@lid".to_owned(), state: ChatActivity::Recording }),
        r#"{"epoch":2,"ask":{"type":"chatPresence","chat":"1@lid","state":"recording"}}"#,
    );
    let contact = CheckedContact {
        asked: "15550001".to_owned(),
        registered: true,
        jid: Some("15550001@s.whatsapp.net".to_owned()),
        lid: None,
        business: false,
    };
    assert_json(
        &Answer::Contacts { contacts: vec![contact] },
        r#"{"type":"contacts","contacts":[{"asked":"15550001","registered":true,"jid":"15550001@s.whatsapp.net","lid":null,"business":false}]}"#,
    );
    assert_json(&Answer::Done, r#"{"type":"done"}"#);
}
