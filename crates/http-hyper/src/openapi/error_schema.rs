//! The schemas of errors and of empty bodies, which no type of `wire` describes.

use serde_json::{Value, json};
use utoipa::openapi::schema::Schema;

use crate::wire::schema::object;

/// The codes of errors.
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

/// Returns the schema of the body of every error.
pub(super) fn error() -> Value {
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

/// Returns the schema of the body of an operation without input.
pub(super) fn nothing() -> Schema {
    object("Nothing: an empty object, or no body at all.").build().into()
}
