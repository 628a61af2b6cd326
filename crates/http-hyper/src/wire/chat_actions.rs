//! The requests about a chat: read messages, and show an activity.

use domain::ports::ChatActivity;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::example::example_is_sample;
use crate::{
    request::fields::Fields,
    wire::schema::{enumeration, flag, object, text_or_null},
};

/// The request to mark messages of a chat as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadSpec {
    /// The last message to mark. `None` for all.
    pub up_to: Option<String>,
    /// Whether the senders learn that the messages were read.
    pub receipts: bool,
}

/// The request to show in a chat what the account does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceSpec {
    /// The activity. `None` with a fault.
    pub state: Option<ChatActivity>,
}

example_is_sample!(ReadSpec, PresenceSpec);

/// The activities with their names.
const ACTIVITIES: [(&str, ChatActivity); 3] = [
    ("composing", ChatActivity::Composing),
    ("recording", ChatActivity::Recording),
    ("paused", ChatActivity::Paused),
];

fn activity(name: &str) -> Option<ChatActivity> {
    ACTIVITIES.into_iter().find(|(known, _)| *known == name).map(|(_, activity)| activity)
}

impl ToSchema for ReadSpec {}

impl PartialSchema for ReadSpec {
    fn schema() -> RefOr<Schema> {
        let up_to = text_or_null(
            "The `waMessageId` of the last message to mark: a stored message of the chat. Null for all.",
        );
        let receipts =
            flag("Whether the senders learn that the messages were read; true by default.");
        let spec = object("The request to mark received messages of a chat as read.")
            .property("upTo", up_to)
            .property("receipts", receipts);
        RefOr::T(spec.build().into())
    }
}

impl ReadSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({ "upTo": "3EB0C431C26A1916E07E", "receipts": true })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        let up_to = fields.text("upTo");
        Self { up_to, receipts: fields.flag("receipts").unwrap_or(true) }
    }
}

impl ToSchema for PresenceSpec {}

impl PartialSchema for PresenceSpec {
    fn schema() -> RefOr<Schema> {
        let known = ACTIVITIES.map(|(name, _)| name);
        let spec = object("The request to show in a chat what the account does.")
            .property("state", enumeration("The activity.", &known))
            .required("state");
        RefOr::T(spec.build().into())
    }
}

impl PresenceSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({ "state": "composing" })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        let is_given = fields.has("state");
        let state = fields.choice("state", activity, &ACTIVITIES.map(|(name, _)| name));
        if !is_given {
            let _: Option<String> = fields.required_text("state");
        }
        Self { state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults<T>(text: &str, read: impl Fn(&mut Fields) -> T) -> Vec<String> {
        let mut fields = Fields::parse(text.as_bytes());
        read(&mut fields);
        fields.finish().into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn samples_are_valid_and_each_fault_names_its_field() {
        assert_eq!(faults(&ReadSpec::sample().to_string(), ReadSpec::read), [""; 0]);
        assert_eq!(faults("", ReadSpec::read), [""; 0]);
        let wrong = r#"{"upTo":1,"receipts":"no","x":0}"#;
        assert_eq!(faults(wrong, ReadSpec::read), ["/upTo", "/receipts", "/x"]);
        for (name, _) in ACTIVITIES {
            assert_eq!(faults(&json!({ "state": name }).to_string(), PresenceSpec::read), [""; 0]);
        }
        for wrong in ["{}", r#"{"state":null}"#, r#"{"state":"dancing"}"#] {
            assert_eq!(faults(wrong, PresenceSpec::read), ["/state"], "{wrong}");
        }
    }
}
