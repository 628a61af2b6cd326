//! The request to send a message, with the schema of its reader's input.

use domain::{
    ChatReference, MAX_MESSAGE_REFERENCE, MAX_TEXT_BYTES, MAX_TYPING_MILLIS, NewMessage, Timestamp,
};
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::{
    request::fields::{Fields, MAX_TIMESTAMP_MILLIS},
    response::violation::Violation,
    wire::{
        example::example_is_sample,
        schema::{NO_NUL, count_or_null, enumeration, moment_or_null, object, text, text_or_null},
    },
};

/// A chat as a caller names it: an id, a phone number, or an address.
const RECEIVER: &str = "^([1-9][0-9]{0,5}|[+]?[0-9]{7,15}|[0-9]{1,15}(:[^@]*)?@s[.]whatsapp[.]net|[0-9]{1,20}(:[^@]*)?@lid)$";
/// The kinds of messages that this version sends.
const KINDS: [&str; 1] = ["text"];

/// The request to send a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSpec {
    /// The message. `None` with a fault.
    pub message: Option<NewMessage>,
}

example_is_sample!(MessageSpec);

impl PartialSchema for MessageSpec {
    fn schema() -> RefOr<Schema> {
        let to = "The receiver: a phone number (7 to 15 digits, also after `+`), the id of a chat, or an address \
                  that ends in `@s.whatsapp.net` or `@lid`; not a group. berth asks WhatsApp which account a number \
                  has.";
        let body = text("The text, at most 65,536 bytes in UTF-8.");
        let expires_at = moment_or_null(
            "The time after which the message is not sent: in the future, at most 7 days ahead. Null for 24 \
             hours from now.",
            0,
            MAX_TIMESTAMP_MILLIS,
        );
        let typing = count_or_null(
            "Milliseconds for which the receiver sees \"typing…\" before the message. Null for the session's \
             setting `presenceTyping`.",
            MAX_TYPING_MILLIS,
        );
        let reference = text_or_null(
            "A text of yours, which events repeat and by which messages can be listed. berth gives the text no \
             meaning.",
        );
        let reference = reference.min_length(Some(1)).max_length(Some(MAX_MESSAGE_REFERENCE));
        let body = body.min_length(Some(1)).max_length(Some(MAX_TEXT_BYTES));
        let spec = object("The request to send a message.")
            .property("to", text(to).pattern(Some(RECEIVER)))
            .property("type", enumeration("The kind of the message.", &KINDS))
            .property("text", body.pattern(Some(NO_NUL)))
            .property("expiresAt", expires_at)
            .property("typing", typing)
            .property("reference", reference.pattern(Some(NO_NUL)))
            .required("to")
            .required("text");
        RefOr::T(spec.build().into())
    }
}

impl ToSchema for MessageSpec {}

impl MessageSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({
            "to": "15551234567",
            "type": "text",
            "text": "Table 7 is free at eight.",
            "expiresAt": null,
            "typing": 1500,
            "reference": "order-4711"
        })
    }

    pub(crate) fn read(fields: &mut Fields, now: Timestamp) -> Self {
        let to = receiver(fields);
        fields.choice("type", |kind| KINDS.contains(&kind).then_some(()), &KINDS);
        let text = fields.required_text("text");
        let expires_at = fields.timestamp("expiresAt");
        let typing_millis = fields.count("typing", MAX_TYPING_MILLIS);
        let reference = fields.text("reference");
        let message = to.zip(text).map(|(to, text)| NewMessage {
            to,
            text,
            expires_at,
            typing_millis,
            reference,
        });
        if let Some(message) = &message {
            fields.add_faults_of_valid_fields(message.violations(now));
        }
        Self { message }
    }
}

fn receiver(fields: &mut Fields) -> Option<ChatReference> {
    let to = fields.required_text("to")?;
    match ChatReference::parse(&to) {
        Ok(to) => Some(to),
        Err(reason) => {
            fields.add_faults([Violation::new("/to", reason)]);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_254_400_000);

    fn faults(text: &str) -> Vec<String> {
        let mut fields = Fields::parse(text.as_bytes());
        MessageSpec::read(&mut fields, NOW);
        fields.finish().into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn sample_is_valid() {
        assert_eq!(faults(&MessageSpec::sample().to_string()), [""; 0]);
        assert_eq!(faults(r#"{"to":"+15551234567","text":"x"}"#), [""; 0]);
    }

    #[test]
    fn each_fault_names_its_field() {
        assert_eq!(faults("{}"), ["/to", "/text"]);
        let all = r#"{"to":"1@newsletter","type":"fax","text":7,"expiresAt":"soon","typing":-1,"reference":[],"x":1}"#;
        let fields = ["/to", "/type", "/text", "/expiresAt", "/typing", "/reference", "/x"];
        assert_eq!(faults(all), fields);
        for (text, expected) in [
            (r#"{"to":"15551234567","text":""}"#, "/text"),
            (r#"{"to":"15551234567","text":"a\u0000b"}"#, "/text"),
            (r#"{"to":"status@broadcast","text":"x"}"#, "/to"),
            (r#"{"to":"15551234567@c.us","text":"x"}"#, "/to"),
            (r#"{"to":"15551234567","text":"x","expiresAt":1767254400000}"#, "/expiresAt"),
            (r#"{"to":"15551234567","text":"x","typing":25001}"#, "/typing"),
            (r#"{"to":"15551234567","text":"x","reference":""}"#, "/reference"),
        ] {
            assert_eq!(faults(text), [expected], "{text}");
        }
        let long = "é".repeat(32_769);
        assert_eq!(faults(&json!({ "to": "15551234567", "text": long }).to_string()), ["/text"]);
    }
}
