//! What a session is made with, and what is changed of one: each a reader, and the schema that says
//! exactly what the reader takes.

use domain::{
    MAX_LABEL, MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE, MAX_RATE, Settings,
    SettingsPatch,
};
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type},
    },
};

use crate::{
    request::fields::Fields,
    wire::schema::{NO_NUL, count_or_null, flag, object, or_null, text, text_or_null},
};

/// What a session is made with. Everything is optional.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSpec {
    /// What its owner sets.
    pub settings: Settings,
    /// Begin pairing now.
    pub start: bool,
}

/// What to change of a session, as a JSON merge patch: what is absent stays, null takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPatch {
    /// What its owner sets anew.
    pub settings: SettingsPatch,
}

impl PartialSchema for SessionSpec {
    fn schema() -> RefOr<Schema> {
        let label = text_or_null("A name for people.");
        let metadata = metadata(text("").description(None::<String>), Type::Object);
        let spec = settable("What a session is made with. Everything is optional.", label)
            .property("metadata", metadata.max_properties(Some(MAX_METADATA)))
            .property("start", flag("Begin pairing now.").default(Some(json!(false))));
        RefOr::T(spec.build().into())
    }
}

impl PartialSchema for SessionPatch {
    fn schema() -> RefOr<Schema> {
        let about = "What to change, as a JSON merge patch (RFC 7396): what is absent stays, null takes away.";
        let label = text_or_null("A name for people; null takes it away.");
        // How many there are in the end depends on the session.
        let metadata =
            metadata(text_or_null("").description(None::<String>), or_null(Type::Object));
        RefOr::T(settable(about, label).property("metadata", metadata).build().into())
    }
}

impl ToSchema for SessionSpec {}
impl ToSchema for SessionPatch {}

/// What both take.
fn settable(about: &str, label: ObjectBuilder) -> ObjectBuilder {
    object(about)
        .property("label", label.max_length(Some(MAX_LABEL)).pattern(Some(NO_NUL)))
        .property("autoRead", flag("Mark incoming messages as read."))
        .property("presenceTyping", flag("Show \"typing…\" before a message is sent."))
        .property("ratePerMin", count_or_null("At most so many messages a minute.", MAX_RATE))
        .property("ratePerHour", count_or_null("At most so many messages an hour.", MAX_RATE))
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
        .description(Some("Your own notes: in all at most 20."))
        .property_names(Some(key.build()))
        .additional_properties(Some(AdditionalProperties::from(value)))
}

impl SessionSpec {
    /// An example.
    pub fn sample() -> Value {
        json!({
            "label": "Front desk",
            "autoRead": false,
            "presenceTyping": true,
            "ratePerMin": 20,
            "ratePerHour": null,
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
            metadata: fields.texts("metadata"),
        };
        // What is of the right type may still be out of bounds, and is told with the rest.
        fields.add_faults(settings.violations());
        Self { settings, start: fields.flag("start").unwrap_or_default() }
    }
}

impl SessionPatch {
    /// An example.
    pub fn sample() -> Value {
        json!({
            "label": "Back office",
            "ratePerMin": null,
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
            clear_metadata: metadata.is_none(),
            metadata: metadata.unwrap_or_default(),
        };
        // What is out of bounds by itself, whatever session it is for.
        fields.add_faults(Settings::default().patched(settings.clone()).violations());
        Self { settings }
    }
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
