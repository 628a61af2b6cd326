//! Events as the documents describe them: the page `docs/events.md`, the schemas of the OpenAPI
//! document, and rendered events agree.

use std::fs;

use domain::{
    Actor, Desired, DisabledReason, Event, EventFailure, EventFieldShape, EventFieldType, EventId,
    EventLevel, EventMedia, EventName, EventPayload, EventQuote, FailureReason, KeyId, LinkId,
    LogoutOutcome, MessageDirection, MessageKind, MessageSource, MessageStatus, Omittable,
    OrganizationId, OutboxId, ReasonCode, RequestedAction, RevocationCause, SessionId,
    SettingsField, Status, Timestamp, WaMessageId, WebhookField, WebhookId,
};
use http_hyper::render_event;
use serde_json::{Value, json};

use crate::conformity::{DOCUMENT, assert_valid, validator};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/events.md");

/// Returns the rows of the page's table with these columns, without its head.
fn table(head: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(PAGE).unwrap();
    let rows = page.lines().skip_while(|line| *line != head).skip(2);
    let cells =
        |row: &str| row.trim_matches('|').split(" | ").map(|it| it.trim().to_owned()).collect();
    let rows: Vec<_> = rows.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(!rows.is_empty(), "the page has no table {head}");
    rows
}

#[test]
fn page_lists_every_kind_with_its_capability_and_retention() {
    let rows = table("| event | written when | actor | capability | kept |");
    let expected = EventName::ALL.map(|name| {
        let kept = if name.is_retained_for_audit() { "audit" } else { "feed" };
        let capability = name.capability().as_str();
        [
            format!("`{}`", name.as_str()),
            name.description().to_owned(),
            format!("`{capability}`"),
            kept.to_owned(),
        ]
    });
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            let actors = ["caller", "`system`", "`link`"];
            assert!(actors.iter().any(|actor| row[2].contains(actor)), "{row:?}");
            [row[0].clone(), row[1].clone(), row[3].clone(), row[4].clone()]
        })
        .collect();
    assert_eq!(shown, expected);
}

/// Returns the values of a field as the page states them.
fn values(shape: &EventFieldShape) -> String {
    let names = |names: &[&str]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let mut text = match &shape.value {
        EventFieldType::Text => "text".to_owned(),
        EventFieldType::Count => "whole number".to_owned(),
        EventFieldType::Time => "time".to_owned(),
        EventFieldType::OneOf(all) => names(all),
        EventFieldType::SomeOf(all) => format!("some of {}, separated by spaces", names(all)),
        EventFieldType::Flag => "`true`, `false`".to_owned(),
        EventFieldType::Range(least, most) => format!("whole number from {least} to {most}"),
        EventFieldType::Texts => "list of texts".to_owned(),
        EventFieldType::Object(fields) => {
            let names: Vec<_> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
            format!("object of {}", names.join(", "))
        }
    };
    if shape.nullable {
        text.push_str(" or null");
    }
    if shape.optional {
        text.push_str(", or absent");
    }
    text
}

#[test]
fn page_lists_every_field_of_every_payload() {
    let rows = table("| event | field | values | meaning |");
    let mut expected = Vec::new();
    for name in EventName::ALL {
        let event = format!("`{}`", name.as_str());
        for field in name.fields() {
            let cells =
                [&*event, &format!("`{}`", field.name), &values(&field.shape), field.description];
            expected.push(cells.map(str::to_owned).to_vec());
        }
        if name.fields().is_empty() {
            expected.push(vec![event, "none".to_owned()]);
        }
    }
    let shown = rows
        .into_iter()
        .map(|row| row.into_iter().filter(|cell| !["", "|"].contains(&&**cell)).collect());
    assert_eq!(shown.collect::<Vec<Vec<_>>>(), expected);
}

fn schema_of(name: EventName) -> &'static Value {
    let conditions = DOCUMENT["components"]["schemas"]["Event"]["allOf"].as_array().unwrap();
    let is_of =
        |condition: &&Value| condition["if"]["properties"]["event"]["const"] == name.as_str();
    let condition = conditions.iter().find(is_of).unwrap();
    let reference = condition["then"]["properties"]["payload"]["$ref"].as_str().unwrap();
    DOCUMENT.pointer(reference.strip_prefix('#').unwrap()).unwrap()
}

#[test]
fn schema_of_every_payload_has_its_fields() {
    for name in EventName::ALL {
        let schema = schema_of(name);
        assert_eq!(schema["description"], name.description());
        let properties = schema["properties"].as_object().unwrap();
        let required = schema["required"].as_array().unwrap();
        assert_eq!(properties.len(), name.fields().len(), "{name:?}");
        for field in name.fields() {
            assert_eq!(properties[field.name]["description"], field.description);
            assert_eq!(required.contains(&json!(field.name)), !field.shape.optional, "{field:?}");
        }
    }
}

/// Returns payloads of every kind, with present and with absent values.
fn payloads() -> Vec<EventPayload> {
    let (at, text) = (Timestamp::from_millis(7), || "text".to_owned());
    let (key, webhook) = (|| KeyId::from_bits(1), || WebhookId::from_bits(1));
    let link = || LinkId::from_bits(1);
    vec![
        EventPayload::SessionCreated { label: None },
        EventPayload::SessionCreated { label: Some(text()) },
        EventPayload::SessionRequested { action: RequestedAction::Pair, desired: Desired::Running },
        EventPayload::SessionStatus {
            status: Status::Failed,
            reason: Some(ReasonCode::Banned),
            message: Some(text()),
            unlink: Omittable(Some(LogoutOutcome::NotLinked)),
        },
        EventPayload::SessionStatus {
            status: Status::Working,
            reason: None,
            message: None,
            unlink: Omittable(None),
        },
        EventPayload::SessionUpdated { changed: vec![SettingsField::Label] },
        EventPayload::SessionUpdated { changed: SettingsField::ALL.to_vec() },
        EventPayload::SessionDeleted {},
        EventPayload::SessionRetired { unlink: LogoutOutcome::Confirmed },
        EventPayload::AuthQr { code: Some(text()), expires_at: at, number: 1, of: 6 },
        EventPayload::AuthQr { code: None, expires_at: at, number: 1, of: 6 },
        EventPayload::AuthCode { code: Some(text()), expires_at: at },
        EventPayload::AuthExpired { reason: ReasonCode::PairingExpired },
        EventPayload::AuthPaired { phone: text(), jid: text(), lid: None, device: 3 },
        EventPayload::LinkCreated { link: link(), title: None, expires_at: at },
        EventPayload::LinkOpened { link: link() },
        EventPayload::LinkUsed { link: link() },
        EventPayload::LinkRevoked { link: link(), cause: RevocationCause::Attempts },
        EventPayload::ApiKeyCreated { key: key(), key_name: text() },
        EventPayload::ApiKeyRevoked { key: key() },
        EventPayload::WebhookCreated { webhook: webhook(), origin: text() },
        EventPayload::WebhookUpdated { webhook: webhook(), changed: WebhookField::ALL.to_vec() },
        EventPayload::WebhookDeleted { webhook: webhook() },
        EventPayload::WebhookDisabled { webhook: webhook(), reason: DisabledReason::Gone },
        EventPayload::WebhookGap { webhook: webhook() },
        EventPayload::WebhookPing { webhook: webhook() },
    ]
    .into_iter()
    .chain(message_payloads())
    .collect()
}

/// Returns payloads of the kinds of messages.
fn message_payloads() -> Vec<EventPayload> {
    let (at, text) = (Timestamp::from_millis(7), || "text".to_owned());
    let wa_id = || WaMessageId::cleaned("3EB0");
    let quote = EventQuote { id: wa_id(), sender: None };
    let media = EventMedia {
        available: false,
        mime_type: Some(text()),
        size: Some(7),
        sha256: None,
        file_name: None,
        width: Some(1),
        height: None,
        seconds: None,
        voice: false,
    };
    let failure = EventFailure {
        code: FailureReason::Rejected,
        message: text(),
        wa_code: Some(479),
        retry_at: None,
    };
    let message = |media, reply_to| EventPayload::Message {
        id: 1,
        wa_id: wa_id(),
        chat: 2,
        chat_jid: Some(text()),
        chat_lid: None,
        chat_phone: None,
        sender_jid: None,
        sender_lid: None,
        sender_phone: None,
        sender_name: Some(text()),
        direction: MessageDirection::In,
        from_me: false,
        source: MessageSource::Contact,
        kind: MessageKind::Image,
        body: None,
        is_truncated: false,
        has_media: true,
        media,
        mentions: vec![text()],
        reply_to,
        forwarded: false,
        ephemeral_seconds: 0,
        status: MessageStatus::Delivered,
        level: EventLevel(2),
        at,
        recovered: false,
        removed: true,
    };
    let status = |error| EventPayload::MessageStatusChanged {
        id: 1,
        wa_id: wa_id(),
        outbox: Some(OutboxId::from_bits(1)),
        chat: 2,
        chat_jid: Some(text()),
        status: MessageStatus::Failed,
        previous: MessageStatus::Queued,
        level: EventLevel(-1),
        at,
        error,
        reference: None,
    };
    let chat = |merged| EventPayload::ChatUpdated {
        chat: 2,
        chat_jid: Some(text()),
        chat_lid: None,
        chat_phone: None,
        chat_name: None,
        unread: 0,
        ephemeral_seconds: 0,
        merged: Omittable(merged),
    };
    vec![
        message(Some(media), Some(quote)),
        message(None, None),
        status(Some(failure)),
        status(None),
        EventPayload::MessageUndecryptable {
            id: 1,
            wa_id: wa_id(),
            chat: 2,
            chat_jid: Some(text()),
            sender_jid: None,
            sender_lid: None,
            sender_name: None,
            direction: MessageDirection::In,
            reason: text(),
            at,
        },
        chat(Some(3)),
        chat(None),
        EventPayload::SessionMessagesDeleted { removed: 7 },
    ]
}

fn rendered(payload: EventPayload) -> Value {
    let event = Event {
        id: EventId::from_bits(1),
        organization: OrganizationId::parse("acme").unwrap(),
        session: Some(SessionId::from_bits(2)),
        sequence: 3,
        at: Timestamp::from_millis(4),
        actor: Actor::System,
        payload,
    };
    serde_json::from_slice(&render_event(&event)).unwrap()
}

#[test]
fn rendered_event_of_every_kind_meets_its_schema_and_no_other() {
    let schema = json!({ "$ref": "#/components/schemas/Event" });
    let judge = validator(&schema);
    for name in EventName::ALL {
        let own = payloads().into_iter().filter(|payload| payload.name() == name);
        let own: Vec<_> = own.map(rendered).collect();
        assert!(!own.is_empty(), "{name:?} has no sample");
        for mut event in own {
            assert_valid(&schema, &event, name.as_str());
            assert_eq!(event["stream"], name.stream().as_str());
            let fields = name.fields();
            let known = |key: &str| fields.iter().any(|field| field.name == key);
            assert!(event["payload"].as_object().unwrap().keys().all(|key| known(key)), "{event}");
            for field in fields {
                let value = event["payload"].as_object_mut().unwrap().remove(field.name);
                assert_eq!(judge.is_valid(&event), field.shape.optional, "without {field:?}");
                event["payload"][field.name] = json!([[]]);
                assert!(!judge.is_valid(&event), "a list of lists as {field:?}");
                event["payload"].as_object_mut().unwrap().remove(field.name);
                if let Some(value) = value {
                    event["payload"][field.name] = value;
                }
            }
            assert!(judge.is_valid(&event), "{event}");
        }
    }
}
