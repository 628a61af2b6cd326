//! Parts of schemas that the types of requests and responses cannot state: bounds and enumerations.

use domain::{
    Capability, ChatKind, Desired, EventName, EventStream, FailureReason, MessageDirection,
    MessageKind, MessageSource, MessageStatus, MessageStorage, ReasonCode, SendMode, Status,
};
use serde_json::{Value, json};
use utoipa::openapi::{
    Ref, RefOr,
    schema::{
        AdditionalProperties, Array, ArrayBuilder, ObjectBuilder, Schema, SchemaFormat, SchemaType,
        Type,
    },
};

use super::event_payload::ANY_PAYLOAD;

/// The code of a message that was handed over and that WhatsApp has not acknowledged.
pub(crate) const WAITING_FOR_ACK: &str = "waiting_for_ack";

/// Text without U+0000, which PostgreSQL cannot hold.
pub(crate) const NO_NUL: &str = "^[^\\u0000]*$";
/// Text without control characters.
pub(crate) const NO_CONTROL: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// Returns the schema of a text.
pub(crate) fn text(about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).description(Some(about))
}

/// Returns the schema of a text or null.
pub(crate) fn text_or_null(about: &str) -> ObjectBuilder {
    text(about).schema_type(or_null(Type::String))
}

/// Returns the schema of a boolean.
pub(crate) fn flag(about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::Boolean)).description(Some(about))
}

/// Returns the schema of a whole number between 0 and `most`, or null.
pub(crate) fn count_or_null(about: &str, most: u32) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(or_null(Type::Integer))
        .minimum(Some(0))
        .maximum(Some(most))
        .description(Some(about))
}

/// Returns the schema of an object without further members.
pub(crate) fn object(about: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::Object))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .description(Some(about))
}

/// Returns the schema of a list.
pub(crate) fn list(about: &str, items: impl Into<Schema>) -> ArrayBuilder {
    ArrayBuilder::new().items(RefOr::T(items.into())).description(Some(about))
}

/// Returns a type or null.
pub(crate) fn or_null(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}

/// Returns the schema of a time in epoch milliseconds, or null.
pub(crate) fn moment_or_null(about: &str, least: i64, most: i64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(or_null(Type::Integer))
        .format(Some(SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Int64)))
        .minimum(Some(least))
        .maximum(Some(most))
        .description(Some(about))
}

/// Returns the schema of a text that is one of these.
pub(crate) fn enumeration(about: &str, known: &[&str]) -> Schema {
    text(about).enum_values(Some(known.to_vec())).build().into()
}

/// Returns the schema of a text that is one of these, or null.
pub(crate) fn enumeration_or_null(about: &str, known: &[&str]) -> Schema {
    let known = known.iter().map(|text| json!(text)).chain([Value::Null]);
    text_or_null(about).enum_values(Some(known.collect::<Vec<_>>())).build().into()
}

pub(crate) fn status() -> Schema {
    enumeration("The state of the connection.", &Status::ALL.map(Status::as_str))
}

pub(crate) fn desired() -> Schema {
    let known = [Desired::Running, Desired::Stopped].map(Desired::as_str);
    enumeration("The state that the owner asked for.", &known)
}

pub(crate) fn reason_code() -> Schema {
    enumeration("The code, for programs.", &ReasonCode::ALL.map(ReasonCode::as_str))
}

pub(crate) fn message_storage() -> Schema {
    let known = MessageStorage::ALL.map(MessageStorage::as_str);
    enumeration("The parts of messages that stay stored.", &known)
}

pub(crate) fn message_direction() -> Schema {
    let known = MessageDirection::ALL.map(MessageDirection::as_str);
    enumeration("The direction, as the account sees it.", &known)
}

pub(crate) fn message_source() -> Schema {
    let known = MessageSource::ALL.map(MessageSource::as_str);
    enumeration("The origin of the message.", &known)
}

pub(crate) fn message_kind() -> Schema {
    let known = MessageKind::ALL.map(MessageKind::as_str);
    enumeration("The kind of the content.", &known)
}

pub(crate) fn send_mode() -> Schema {
    enumeration("Whether the request waited for WhatsApp.", &SendMode::ALL.map(SendMode::as_str))
}

pub(crate) fn message_status() -> Schema {
    let known = MessageStatus::ALL.map(MessageStatus::as_str);
    enumeration("How far the message has come.", &known)
}

pub(crate) fn message_error_code() -> Schema {
    let known = FailureReason::ALL.map(FailureReason::as_str);
    let known: Vec<_> = known.into_iter().chain([WAITING_FOR_ACK]).collect();
    enumeration("The code, for programs.", &known)
}

pub(crate) fn ack_level() -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::Integer))
        .minimum(Some(-1))
        .maximum(Some(4))
        .description(Some("−1 failed, 0 queued, 1 sent, 2 delivered, 3 read, 4 played."))
        .build()
        .into()
}

pub(crate) fn chat_kind() -> Schema {
    let known = [ChatKind::Dm, ChatKind::Group].map(ChatKind::as_str);
    enumeration("Two people, or a group.", &known)
}

pub(crate) fn event_name() -> Schema {
    enumeration("The name of the event.", &EventName::ALL.map(EventName::as_str))
}

pub(crate) fn envelope() -> Schema {
    enumeration("The version of this envelope.", &["v1"])
}

pub(crate) fn stream() -> Schema {
    enumeration("The stream of the event.", &EventStream::ALL.map(EventStream::as_str))
}

/// Returns the reference to the schema of every payload.
pub(crate) fn event_payload() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(ANY_PAYLOAD))
}

pub(crate) fn actor_kind() -> Schema {
    let known = ["user", "key", "link", "operator", "system"];
    let about = "A person, a key, the holder of a share link, the operator's command line, or berth itself.";
    enumeration(about, &known)
}

/// Returns the schema of one capability.
pub(crate) fn capability() -> Schema {
    let known = Capability::ALL.map(Capability::as_str);
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .enum_values(Some(known))
        .build()
        .into()
}

pub(crate) fn capabilities() -> Array {
    list("The capabilities of the credential.", capability()).build()
}
