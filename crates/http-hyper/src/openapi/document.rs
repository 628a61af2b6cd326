//! The OpenAPI 3.1 document of the API, derived from the operation table.
//!
//! Schemas come from the types of requests and responses. The rest is built as plain JSON, because
//! the types of utoipa cannot state some facts (that a header is always present), and because the
//! tests and a validator check the document as a whole.
//!
//! The program contains the text `docs/openapi.json` and does not build the document, which saves
//! start time and memory. A test compares the text with the result of this module.
//!
//! Decision: ADR 0011.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{error_schema, headers, operation, operation_doc::DocTag, parameters};
use crate::{
    api::{Operation, operations},
    wire::event_payload,
};

/// Returns the document of the operation table.
pub fn document() -> Value {
    let table: Vec<_> = operations().collect();
    json!({
        "openapi": "3.1.0",
        "info": info(),
        "servers": [{ "url": "/", "description": "The server of this document." }],
        "tags": DocTag::ALL.map(|tag| json!({ "name": tag.name(), "description": tag.about() })),
        "paths": paths(&table),
        "components": components(&table),
    })
}

/// Returns the text of `docs/openapi.json`.
pub fn text() -> String {
    format!("{:#}\n", document())
}

fn info() -> Value {
    json!({
        "title": "berth",
        "version": env!("CARGO_PKG_VERSION"),
        "summary": "WhatsApp sessions of many organizations",
        "description": ABOUT,
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    })
}

const ABOUT: &str = "\
JSON in camelCase, times as integer epoch milliseconds, ids as opaque text.

Every request carries one credential: a login token or an API key as `Authorization: Bearer`, or an API \
key as `X-Api-Key`. Objects of other organizations do not exist for a caller: the response is the same \
404, byte for byte, as for a missing or a deleted object.

HEAD is available for every GET, and OPTIONS for every path. A method that is not listed is 405 \
`method_not_allowed` with `Allow`. Unknown query parameters and unknown fields are rejected, so that a \
misspelled name is not ignored.

Every response carries `X-Request-Id`, `Cache-Control`, `Content-Security-Policy`, `Referrer-Policy` and \
`X-Content-Type-Options`. Every error is `{ \"error\": { \"code\", \"message\", \"details\" } }`: the code is \
for programs, the message for people, and neither contains a cause.";

fn paths(table: &[&Operation]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for row in table {
        let path = paths.entry(row.path).or_insert_with(|| json!({}));
        path[row.method.as_str().to_lowercase()] = operation::describe(row, table);
    }
    Value::Object(paths)
}

fn components(table: &[&Operation]) -> Value {
    json!({
        "schemas": schemas_of(table),
        "parameters": parameters::components(),
        "headers": headers::components(),
        "responses": operation::shared_responses(table),
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT or API key",
                "description": "A login token of your identity provider, or an API key.",
            },
            "apiKey": {
                "type": "apiKey",
                "in": "header",
                "name": "X-Api-Key",
                "description": "An API key.",
            },
            "linkCookie": {
                "type": "apiKey",
                "in": "cookie",
                "name": "__Host-berth-link",
                "description": "The cookie that `POST /link/session` sets; `berth-link` over plain http on loopback.",
            },
            "browserSession": {
                "type": "apiKey",
                "in": "cookie",
                "name": "__Host-berth",
                "description": "The cookie of a browser session, in requests of pages of this service. On plain http \
                                with a loopback address its name is `berth`.",
            },
            "ticket": {
                "type": "apiKey",
                "in": "query",
                "name": "ticket",
                "description": "A ticket of `POST /api/v1/realtime/ticket`.",
            },
        },
    })
}

/// Returns the schemas of all requests and responses of the table.
fn schemas_of(table: &[&Operation]) -> BTreeMap<String, Value> {
    let mut response_shapes = Vec::new();
    for shape in table.iter().flat_map(|row| row.doc.response_shapes()) {
        response_shapes.push(((shape.name)().into_owned(), (shape.schema)()));
        (shape.referenced)(&mut response_shapes);
    }
    let response_shapes = response_shapes
        .into_iter()
        .map(|(name, schema)| (name, require_all_properties(value(schema))))
        .map(|(name, schema)| match &*name {
            "Event" => (name, event_payload::with_payloads(schema)),
            _ => (name, schema),
        });
    let request_shapes = table.iter().filter_map(|row| row.doc.accepts);
    let request_shapes =
        request_shapes.map(|shape| ((shape.name)().into_owned(), value((shape.schema)())));
    let fixed = [("Error", error_schema::error()), ("Nothing", value(error_schema::nothing()))];
    let fixed = fixed.map(|(name, schema)| (name.to_owned(), schema));
    let payloads = event_payload::schemas();
    response_shapes.chain(request_shapes).chain(fixed).chain(payloads).collect()
}

fn value(schema: impl serde::Serialize) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}

/// Marks all properties of a response schema as required: absent values are null.
fn require_all_properties(mut schema: Value) -> Value {
    let names = schema["properties"].as_object().map(|fields| fields.keys().cloned().collect());
    if let Some(names) = names {
        let names: Vec<String> = names;
        schema["required"] = json!(names);
    }
    let parts = schema.get_mut("allOf").and_then(Value::as_array_mut);
    for part in parts.into_iter().flatten() {
        *part = require_all_properties(part.take());
    }
    schema
}
