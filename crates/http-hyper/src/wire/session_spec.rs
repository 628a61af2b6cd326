//! The requests that create and change sessions: each with its reader and the schema of the
//! reader's input.

use domain::{
    DEFAULT_RETENTION_DAYS, MAX_LABEL, MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE,
    MAX_RATE, MAX_RETENTION_DAYS, MessageStorage, Settings, SettingsPatch,
};
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type},
    },
};

use super::example::example_is_sample;
use crate::{
    request::fields::Fields,
    wire::schema::{
        NO_NUL, count_or_null, enumeration_or_null, flag, object, or_null, text, text_or_null,
    },
};

/// The request to create a session. Every field is optional.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSpec {
    /// The settings of the session.
    pub settings: Settings,
    /// Whether pairing begins at once.
    pub start: bool,
}

/// The change of a session, as a JSON merge patch: absent fields stay, null removes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPatch {
    /// The changed settings.
    pub settings: SettingsPatch,
}

example_is_sample!(SessionPatch, SessionSpec);

impl PartialSchema for SessionSpec {
    fn schema() -> RefOr<Schema> {
        let label = text_or_null("The name of the session, for people.");
        let metadata = metadata(text("").description(None::<String>), Type::Object);
        let spec = settable("The request to create a session. Every field is optional.", label)
            .property("metadata", metadata.max_properties(Some(MAX_METADATA)))
            .property("start", flag("Whether pairing begins at once.").default(Some(json!(false))));
        RefOr::T(spec.build().into())
    }
}

impl PartialSchema for SessionPatch {
    fn schema() -> RefOr<Schema> {
        let about = "The change, as a JSON merge patch (RFC 7396): absent fields stay, null removes a value.";
        let label = text_or_null("The name of the session, for people; null removes it.");
        // The resulting number of entries depends on the session.
        let metadata =
            metadata(text_or_null("").description(None::<String>), or_null(Type::Object));
        RefOr::T(settable(about, label).property("metadata", metadata).build().into())
    }
}

impl ToSchema for SessionSpec {}
impl ToSchema for SessionPatch {}

const RATE_PER_MIN: &str =
    "Maximum number of messages per minute; null for the default of 20, 0 for no limit.";
const RATE_PER_HOUR: &str =
    "Maximum number of messages per hour; null for the default of 600, 0 for no limit.";
const MESSAGES: &str = "The parts of messages that stay stored: `full` (the default), `headers` \
     (no bodies after a day) or `none` (nothing after a day).";
const RETENTION_DAYS: &str =
    "Days after which messages are removed; null for the default of 90, 0 for never.";
const STORAGES: [&str; 3] = [
    MessageStorage::Full.as_str(),
    MessageStorage::Headers.as_str(),
    MessageStorage::None.as_str(),
];

/// Returns the schema of the settings of both requests.
fn settable(about: &str, label: ObjectBuilder) -> ObjectBuilder {
    object(about)
        .property("label", label.max_length(Some(MAX_LABEL)).pattern(Some(NO_NUL)))
        .property("autoRead", flag("Mark incoming messages as read."))
        .property("presenceTyping", flag("Show \"typing…\" before a message is sent."))
        .property("ratePerMin", count_or_null(RATE_PER_MIN, MAX_RATE))
        .property("ratePerHour", count_or_null(RATE_PER_HOUR, MAX_RATE))
        .property("messages", enumeration_or_null(MESSAGES, &STORAGES))
        .property("retentionDays", count_or_null(RETENTION_DAYS, MAX_RETENTION_DAYS))
}

fn metadata(value: ObjectBuilder, kind: impl Into<SchemaType>) -> ObjectBuilder {
    let key = ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .min_length(Some(1))
        .max_length(Some(MAX_METADATA_KEY))
        .pattern(Some(NO_NUL));
    let value = value.max_length(Some(MAX_METADATA_VALUE)).pattern(Some(NO_NUL));
    ObjectBuilder::new()
        .schema_type(kind)
        .description(Some("Your notes, at most 20 entries."))
        .property_names(Some(key.build()))
        .additional_properties(Some(AdditionalProperties::from(value)))
}

impl SessionSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({
            "label": "Front desk",
            "autoRead": false,
            "presenceTyping": true,
            "ratePerMin": 20,
            "ratePerHour": null,
            "messages": "full",
            "retentionDays": 30,
            "metadata": { "branch": "north" },
            "start": true
        })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        let settings = Settings {
            label: fields.text("label"),
            auto_read: fields.flag("autoRead").unwrap_or_default(),
            presence_typing: fields.flag("presenceTyping").unwrap_or_default(),
            rate_per_min: fields.count("ratePerMin", MAX_RATE),
            rate_per_hour: fields.count("ratePerHour", MAX_RATE),
            messages: messages(fields).flatten().unwrap_or_default(),
            retention_days: fields
                .count("retentionDays", MAX_RETENTION_DAYS)
                .unwrap_or(DEFAULT_RETENTION_DAYS),
            metadata: fields.texts("metadata"),
        };
        // Values of the right type may exceed a bound, which is reported with the other faults.
        fields.add_faults(settings.violations());
        Self { settings, start: fields.flag("start").unwrap_or_default() }
    }
}

impl SessionPatch {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({
            "label": "Back office",
            "ratePerMin": null,
            "messages": "headers",
            "retentionDays": 7,
            "metadata": { "branch": null, "floor": "2" }
        })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        let metadata = fields.texts_change("metadata");
        let settings = SettingsPatch {
            label: fields.text_change("label"),
            auto_read: fields.flag("autoRead"),
            presence_typing: fields.flag("presenceTyping"),
            rate_per_min: fields.count_change("ratePerMin", MAX_RATE),
            rate_per_hour: fields.count_change("ratePerHour", MAX_RATE),
            messages: messages(fields),
            retention_days: fields.count_change("retentionDays", MAX_RETENTION_DAYS),
            clear_metadata: metadata.is_none(),
            metadata: metadata.unwrap_or_default(),
        };
        // Bounds that a value exceeds whatever the session is.
        fields.add_faults(Settings::default().patched(settings.clone()).violations());
        Self { settings }
    }
}

#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
fn messages(fields: &mut Fields) -> Option<Option<MessageStorage>> {
    fields.choice_change("messages", MessageStorage::parse, &STORAGES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_is_valid() {
        let mut fields = Fields::parse(SessionSpec::sample().to_string().as_bytes());
        let spec = SessionSpec::read(&mut fields);
        assert_eq!(fields.finish(), []);
        assert_eq!((spec.settings.label.as_deref(), spec.start), (Some("Front desk"), true));
    }
}
