//! The schemas of errors and of empty bodies, which no type of `wire` describes.

use domain::FailureReason;
use serde_json::{Value, json};
use utoipa::openapi::schema::Schema;

use crate::wire::schema::object;

/// The codes of errors.
const CODES: [&str; 17] = [
    "validation_error",
    "unauthorized",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "request_timeout",
    "conflict",
    "gone",
    "precondition_failed",
    "payload_too_large",
    "unsupported_media_type",
    "undeliverable",
    "rate_limited",
    "headers_too_large",
    "internal",
    "not_implemented",
    "unavailable",
];

/// Returns the schema of the body of every error.
pub(super) fn error() -> Value {
    let fault = json!({
        "type": "object",
        "description": "One fault and its position.",
        "properties": {
            "pointer": { "type": "string", "description": "A JSON pointer into the body; empty for the whole body." },
            "parameter": { "type": "string", "description": "The name of a query parameter or header." },
            "reason": { "type": "string", "description": "The reason, for people." },
        },
        "required": ["reason"],
    });
    let reasons = FailureReason::ALL.map(FailureReason::as_str);
    let details = json!({
        "type": "object",
        "additionalProperties": true,
        "description": "Details; empty for most errors.",
        "properties": {
            "fields": { "type": "array", "items": fault, "description": "The faults of the request, at most 100." },
            "omitted": { "type": "integer", "minimum": 1, "description": "The number of further faults." },
            "oldest": { "type": ["string", "null"], "description": "The oldest event that remains in the feed." },
            "reason": { "type": "string", "enum": reasons, "description": "The reason for which a message was not sent." },
            "waCode": { "type": ["integer", "null"], "description": "The code of WhatsApp." },
            "retryAt": { "type": ["integer", "null"], "description": "The time from which a new message may succeed." },
            "waMessageId": { "type": "string", "description": "The id of the message at WhatsApp." },
            "outboxId": { "type": ["string", "null"], "description": "The id of the message in the outbox." },
            "maxBytes": { "type": "integer", "description": "The maximum size of the body in bytes." },
        },
    });
    json!({
        "type": "object",
        "description": "The error that ended a request.",
        "properties": {
            "error": {
                "type": "object",
                "description": "The error.",
                "properties": {
                    "code": { "type": "string", "enum": CODES, "description": "The code, for programs." },
                    "message": { "type": "string", "description": "The message, for people. Stable per code and kind; never a cause." },
                    "details": details,
                },
                "required": ["code", "message", "details"],
            },
        },
        "required": ["error"],
    })
}

/// Returns the schema of the body of an operation without input.
pub(super) fn nothing() -> Schema {
    object("No input: an empty object, or no body.").build().into()
}
