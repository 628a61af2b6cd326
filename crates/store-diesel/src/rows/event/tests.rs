//! Tests: the stored text of every payload never changes.

use domain::{
    Desired, DisabledReason, EventFailure, EventLevel, EventQuote, FailureReason, KeyId, LinkId,
    LogoutOutcome, MessageDirection, MessageKind, MessageSource, MessageStatus, Omittable,
    OutboxId, ReasonCode, RequestedAction, RevocationCause, SettingsField, Status, WaMessageId,
    WebhookField, WebhookId,
};

use super::*;

fn status(
    status: Status,
    reason: Option<(ReasonCode, &str)>,
    unlink: Option<LogoutOutcome>,
) -> EventPayload {
    let message = reason.map(|(_, message)| message.to_owned());
    let (reason, unlink) = (reason.map(|(code, _)| code), Omittable(unlink));
    EventPayload::SessionStatus { status, reason, message, unlink }
}

/// Every kind of payload with its stored text.
fn stored_payloads() -> Vec<(EventPayload, &'static str)> {
    use EventPayload as Payload;
    let expires_at = Timestamp::from_millis(1_767_254_400_000);
    let key = KeyId::from_bits(1);
    let (action, desired) = (RequestedAction::Pair, Desired::Running);
    let logged_out = Some((ReasonCode::LoggedOutByUser, "logged out"));
    let changed = vec![SettingsField::Label, SettingsField::AutoRead];
    let paired = Payload::AuthPaired {
        phone: "15551234567".to_owned(),
        jid: "15551234567:3@s.whatsapp.net".to_owned(),
        lid: None,
        device: 3,
    };
    vec![
        (
            Payload::SessionCreated { label: Some("Küche \"1\"".to_owned()) },
            r#"[["label","Küche \"1\""]]"#,
        ),
        (Payload::SessionCreated { label: None }, r#"[["label",null]]"#),
        (
            Payload::SessionRequested { action, desired },
            r#"[["action","pair"],["desired","running"]]"#,
        ),
        (
            status(Status::Working, None, None),
            r#"[["status","working"],["reason",null],["message",null]]"#,
        ),
        (
            status(Status::Stopped, logged_out, Some(LogoutOutcome::Confirmed)),
            r#"[["status","stopped"],["reason","logged_out_by_user"],["message","logged out"],["unlink","confirmed"]]"#,
        ),
        (Payload::SessionUpdated { changed }, r#"[["fields","label autoRead"]]"#),
        (Payload::SessionDeleted {}, "[]"),
        (
            Payload::SessionRetired { unlink: LogoutOutcome::NotLinked },
            r#"[["unlink","not_linked"]]"#,
        ),
        (
            Payload::AuthQr { code: Some("2@a,b".to_owned()), expires_at, number: 1, of: 6 },
            r#"[["code","2@a,b"],["expiresAt",1767254400000],["attempt",1],["attempts",6]]"#,
        ),
        (
            Payload::AuthQr { code: None, expires_at, number: 2, of: 6 },
            r#"[["code",null],["expiresAt",1767254400000],["attempt",2],["attempts",6]]"#,
        ),
        (
            Payload::AuthCode { code: Some("ABCD-1234".to_owned()), expires_at },
            r#"[["code","ABCD-1234"],["expiresAt",1767254400000]]"#,
        ),
        (
            Payload::AuthExpired { reason: ReasonCode::PairingExpired },
            r#"[["reason","pairing_expired"]]"#,
        ),
        (
            paired,
            r#"[["phoneNumber","15551234567"],["waJid","15551234567:3@s.whatsapp.net"],["waLid",null],["deviceId",3]]"#,
        ),
        (
            Payload::ApiKeyCreated { key: key.clone(), key_name: "ci".to_owned() },
            r#"[["key","key_00000000000000000000000001"],["name","ci"]]"#,
        ),
        (Payload::ApiKeyRevoked { key }, r#"[["key","key_00000000000000000000000001"]]"#),
    ]
    .into_iter()
    .chain(stored_webhook_payloads())
    .chain(stored_link_payloads())
    .chain(stored_message_payloads())
    .collect()
}

fn stored_webhook_payloads() -> Vec<(EventPayload, &'static str)> {
    use EventPayload as Payload;
    let webhook = || WebhookId::from_bits(1);
    let id = r#"[["webhook","wh_00000000000000000000000001"]]"#;
    let changed = vec![WebhookField::Url, WebhookField::RetryPolicy];
    vec![
        (
            Payload::WebhookCreated { webhook: webhook(), origin: "https://a.b".to_owned() },
            r#"[["webhook","wh_00000000000000000000000001"],["url","https://a.b"]]"#,
        ),
        (
            Payload::WebhookUpdated { webhook: webhook(), changed },
            r#"[["webhook","wh_00000000000000000000000001"],["fields","url retryPolicy"]]"#,
        ),
        (Payload::WebhookDeleted { webhook: webhook() }, id),
        (
            Payload::WebhookDisabled { webhook: webhook(), reason: DisabledReason::Gone },
            r#"[["webhook","wh_00000000000000000000000001"],["reason","gone"]]"#,
        ),
        (Payload::WebhookGap { webhook: webhook() }, id),
        (Payload::WebhookPing { webhook: webhook() }, id),
    ]
}

fn stored_link_payloads() -> Vec<(EventPayload, &'static str)> {
    use EventPayload as Payload;
    let (link, expires_at) = (LinkId::from_bits(1), Timestamp::from_millis(7));
    let id = r#"[["link","lnk_00000000000000000000000001"]]"#;
    let cause = RevocationCause::Attempts;
    vec![
        (
            Payload::LinkCreated { link: link.clone(), title: Some("Shop".to_owned()), expires_at },
            r#"[["link","lnk_00000000000000000000000001"],["title","Shop"],["expiresAt",7]]"#,
        ),
        (Payload::LinkOpened { link: link.clone() }, id),
        (Payload::LinkUsed { link: link.clone() }, id),
        (
            Payload::LinkRevoked { link, cause },
            r#"[["link","lnk_00000000000000000000000001"],["reason","attempts"]]"#,
        ),
    ]
}

fn stored_message_payloads() -> Vec<(EventPayload, &'static str)> {
    use EventPayload as Payload;
    let (wa_id, at) = (|| WaMessageId::cleaned("3EB0"), Timestamp::from_millis(7));
    let text = || Some("text".to_owned());
    let failure = EventFailure {
        code: FailureReason::Rejected,
        message: "refused".to_owned(),
        wa_code: Some(479),
        retry_at: None,
    };
    vec![
        (Payload::SessionMessagesDeleted { removed: 7 }, r#"[["removed",7]]"#),
        (
            Payload::Message {
                id: 1,
                wa_id: wa_id(),
                chat: 2,
                chat_jid: text(),
                chat_lid: None,
                chat_phone: None,
                sender_jid: None,
                sender_lid: None,
                sender_phone: None,
                sender_name: text(),
                direction: MessageDirection::In,
                from_me: false,
                source: MessageSource::Contact,
                kind: MessageKind::Text,
                body: text(),
                is_truncated: false,
                has_media: false,
                media: None,
                mentions: vec!["99@lid".to_owned()],
                reply_to: Some(EventQuote { id: wa_id(), sender: None }),
                forwarded: false,
                ephemeral_seconds: 0,
                status: MessageStatus::Delivered,
                level: EventLevel(2),
                at,
                recovered: false,
                removed: false,
            },
            r#"[["id",1],["waMessageId","3EB0"],["chatId",2],["chatJid","text"],["chatLid",null],["chatPhone",null],["senderJid",null],["senderLid",null],["senderPhone",null],["senderName","text"],["direction","in"],["fromMe",false],["source","contact"],["type","text"],["body","text"],["bodyTruncated",false],["hasMedia",false],["media",null],["mentions",["99@lid"]],["replyTo",[["id","3EB0"],["sender",null]]],["forwarded",false],["ephemeralSeconds",0],["status","delivered"],["ackLevel",2],["timestamp",7],["recovered",false],["removed",false]]"#,
        ),
        (
            Payload::MessageStatusChanged {
                id: 1,
                wa_id: wa_id(),
                outbox: Some(OutboxId::from_bits(1)),
                chat: 2,
                chat_jid: None,
                status: MessageStatus::Failed,
                previous: MessageStatus::Queued,
                level: EventLevel(-1),
                at,
                error: Some(failure),
                reference: None,
            },
            r#"[["id",1],["waMessageId","3EB0"],["outboxId","out_00000000000000000000000001"],["chatId",2],["chatJid",null],["status","failed"],["previous","queued"],["ackLevel",-1],["at",7],["error",[["code","rejected"],["message","refused"],["waCode",479],["retryAt",null]]],["reference",null]]"#,
        ),
        (
            Payload::MessageUndecryptable {
                id: 1,
                wa_id: wa_id(),
                chat: 2,
                chat_jid: None,
                sender_jid: None,
                sender_lid: None,
                sender_name: None,
                direction: MessageDirection::In,
                reason: "decryption".to_owned(),
                at,
            },
            r#"[["id",1],["waMessageId","3EB0"],["chatId",2],["chatJid",null],["senderJid",null],["senderLid",null],["senderName",null],["direction","in"],["reason","decryption"],["timestamp",7]]"#,
        ),
        (
            Payload::ChatUpdated {
                chat: 2,
                chat_jid: None,
                chat_lid: None,
                chat_phone: None,
                chat_name: None,
                unread: 1,
                ephemeral_seconds: 0,
                merged: Omittable(Some(3)),
            },
            r#"[["chatId",2],["chatJid",null],["chatLid",null],["chatPhone",null],["name",null],["unreadCount",1],["ephemeralSeconds",0],["mergedChatId",3]]"#,
        ),
    ]
}

#[test]
fn content_of_a_message_is_not_stored_with_its_event() {
    let (message, _) = stored_message_payloads().swap_remove(1);
    let stored = payload_text(&message.without_content()).expect("a text");
    for (field, value) in [
        ("body", "null"),
        ("media", "null"),
        ("mentions", "[]"),
        ("replyTo", "null"),
        ("removed", "true"),
    ] {
        assert!(stored.contains(&format!("[\"{field}\",{value}]")), "{stored}");
    }
}

#[test]
fn stored_text_of_every_payload_is_fixed() {
    let stored = stored_payloads();
    for (payload, text) in &stored {
        assert_eq!(payload_text(payload).expect("a text"), *text);
        assert_eq!(payload_of(payload.name(), text).as_ref(), Some(payload));
    }
    for name in EventName::ALL {
        assert!(stored.iter().any(|(payload, _)| payload.name() == name), "{name:?}");
    }
}

#[test]
fn stored_text_of_another_version_is_prepared() {
    for text in [r#"[["unlink","confirmed"],["by","phone"]]"#, r#"[["was",true]]"#, "[]"] {
        let payload = payload_of(EventName::SessionRetired, text).expect("a payload");
        assert!(matches!(payload, EventPayload::Unrecognized { .. }), "{payload:?}");
        assert_eq!(payload_text(&payload).expect("a text"), text);
    }
    assert_eq!(payload_of(EventName::SessionRetired, r#"[["unlink",{}]]"#), None);
    assert_eq!(payload_of(EventName::SessionRetired, r#"[["unlink",[[]]]]"#), None);
    assert_eq!(payload_of(EventName::SessionRetired, r#"[["unlink",["a",1]]]"#), None);
}
