//! The schemas that no type of ours says by itself: bounds, sets of words, the error every refusal is.

use domain::{Capability, Desired, EventName, ReasonCode, Status};
use serde_json::{Value, json};
use utoipa::openapi::{
    RefOr,
    schema::{
        AdditionalProperties, Array, ArrayBuilder, ObjectBuilder, Schema, SchemaFormat, SchemaType,
        Type,
    },
};

/// Text without U+0000, which PostgreSQL cannot hold.
pub(crate) const NO_NUL: &str = "^[^\\u0000]*$";
/// Text without control characters.
pub(crate) const NO_CONTROL: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// Text.
pub(crate) fn text(about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).description(Some(about))
}

/// Text, or null.
pub(crate) fn text_or_null(about: &str) -> ObjectBuilder {
    text(about).schema_type(or_null(Type::String))
}

/// True or false.
pub(crate) fn flag(about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::Boolean)).description(Some(about))
}

/// A whole number between 1 and `most`, or null.
pub(crate) fn count_or_null(about: &str, most: u32) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(or_null(Type::Integer))
        .minimum(Some(1))
        .maximum(Some(most))
        .description(Some(about))
}

/// An object of these members and no others.
pub(crate) fn object(about: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::Object))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .description(Some(about))
}

/// A list.
pub(crate) fn list(about: &str, items: impl Into<Schema>) -> ArrayBuilder {
    ArrayBuilder::new().items(RefOr::T(items.into())).description(Some(about))
}

/// A type, or null.
pub(crate) fn or_null(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}

/// A moment in epoch milliseconds, or null.
pub(crate) fn moment_or_null(about: &str, least: i64, most: i64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(or_null(Type::Integer))
        .format(Some(SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Int64)))
        .minimum(Some(least))
        .maximum(Some(most))
        .description(Some(about))
}

fn enumeration(about: &str, known: &[&str]) -> Schema {
    text(about).enum_values(Some(known.to_vec())).build().into()
}

pub(crate) fn status() -> Schema {
    enumeration("What its connection does.", &Status::ALL.map(Status::as_str))
}

pub(crate) fn desired() -> Schema {
    let known = [Desired::Running, Desired::Stopped].map(Desired::as_str);
    enumeration("What its owner wants.", &known)
}

pub(crate) fn reason_code() -> Schema {
    enumeration("For programs.", &ReasonCode::ALL.map(ReasonCode::as_str))
}

pub(crate) fn event_name() -> Schema {
    enumeration("What kind of event it is.", &EventName::ALL.map(EventName::as_str))
}

pub(crate) fn envelope() -> Schema {
    enumeration("The version of this envelope.", &["v1"])
}

pub(crate) fn actor_kind() -> Schema {
    let known = ["user", "key", "operator", "system"];
    enumeration("A person, a key, the operator's command line, or berth itself.", &known)
}

/// One capability.
pub(crate) fn capability() -> Schema {
    let known = Capability::ALL.map(Capability::as_str);
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .enum_values(Some(known))
        .build()
        .into()
}

pub(crate) fn capabilities() -> Array {
    list("What it can do.", capability()).build()
}

/// Every code an error can have.
const CODES: [&str; 15] = [
    "validation_error",
    "unauthorized",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "request_timeout",
    "conflict",
    "precondition_failed",
    "payload_too_large",
    "unsupported_media_type",
    "rate_limited",
    "headers_too_large",
    "internal",
    "not_implemented",
    "unavailable",
];

/// The body of every error. Written out: it is put together in one place, and has no type.
pub(crate) fn error() -> Value {
    let fault = json!({
        "type": "object",
        "description": "One fault, with where it is.",
        "properties": {
            "pointer": { "type": "string", "description": "A JSON pointer into the body; empty for the whole." },
            "parameter": { "type": "string", "description": "The name of a query parameter or header." },
            "reason": { "type": "string", "description": "What is wrong there, for people." },
        },
        "required": ["reason"],
    });
    let details = json!({
        "type": "object",
        "additionalProperties": true,
        "description": "More about it; empty when there is nothing to say.",
        "properties": {
            "fields": { "type": "array", "items": fault, "description": "Every fault of the request, at most a hundred." },
            "omitted": { "type": "integer", "minimum": 1, "description": "How many more there are." },
            "maxBytes": { "type": "integer", "description": "The largest body that is taken." },
        },
    });
    json!({
        "type": "object",
        "description": "Why a request did not succeed.",
        "properties": {
            "error": {
                "type": "object",
                "description": "The error.",
                "properties": {
                    "code": { "type": "string", "enum": CODES, "description": "For programs." },
                    "message": { "type": "string", "description": "For people. Stable per code and kind; never a cause." },
                    "details": details,
                },
                "required": ["code", "message", "details"],
            },
        },
        "required": ["error"],
    })
}

/// The body of what takes none.
pub(crate) fn nothing() -> Schema {
    object("Nothing: an empty object, or no body at all.").build().into()
}
