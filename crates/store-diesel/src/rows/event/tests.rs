//! Tests: the stored text of every payload never changes.

use domain::{
    Desired, DisabledReason, KeyId, LogoutOutcome, Omittable, ReasonCode, RequestedAction,
    SettingsField, Status, WebhookField, WebhookId,
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
fn stored_text_of_another_version_is_kept() {
    for text in [r#"[["unlink","confirmed"],["by","phone"]]"#, r#"[["was",true]]"#, "[]"] {
        let payload = payload_of(EventName::SessionRetired, text).expect("a payload");
        assert!(matches!(payload, EventPayload::Unrecognized { .. }), "{payload:?}");
        assert_eq!(payload_text(&payload).expect("a text"), text);
    }
    assert_eq!(payload_of(EventName::SessionRetired, r#"[["unlink",[]]]"#), None);
}
