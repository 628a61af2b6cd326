//! The API's document, OpenAPI 3.1, derived from the table: its rows are the only list of operations.
//!
//! Schemas come from the types that go over the wire. The rest is put together as plain JSON, because
//! it has things to say that utoipa's types cannot (that a header is always there), and because what
//! makes it a valid document is judged from the outside anyway: by the tests and by a validator.
//!
//! The program does not do this: it carries the text, `docs/openapi.json`, as it was checked in, so
//! that it costs neither start nor memory. A test holds the text to what this module says.
//!
//! Decision: ADR 0011.

mod content;
mod docs;
mod failures;
mod headers;
mod operation;
mod operation_doc;
mod parameters;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub(crate) use self::docs::{api_keys::*, audit::*, service::*, sessions::*};
use self::operation_doc::DocTag;
pub use self::operation_doc::OperationDoc;
pub(crate) use self::operation_doc::{UNDOCUMENTED, WithExample};
use crate::api::{Operation, operations};
use crate::wire::schema;

/// The document as it is checked in and served.
pub(crate) static DOCUMENT: &str = include_str!("../../../../docs/openapi.json");

/// The document as the table has it now.
pub fn document() -> Value {
    let table: Vec<_> = operations().collect();
    json!({
        "openapi": "3.1.0",
        "info": info(),
        "servers": [{ "url": "/", "description": "Wherever this document was found." }],
        "tags": DocTag::ALL.map(|tag| json!({ "name": tag.name(), "description": tag.about() })),
        "paths": paths(&table),
        "components": components(&table),
    })
}

/// The same, as it is written down.
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
key as `X-Api-Key`. What belongs to another organization does not exist: missing, deleted and \
another's are the same 404, byte for byte.

HEAD works wherever GET does, OPTIONS everywhere; another method than those listed is 405 \
`method_not_allowed` with `Allow`. Unknown query parameters and unknown fields are refused, so that a \
misspelt one does not silently do nothing.

Every answer carries `X-Request-Id`, `Cache-Control`, `Content-Security-Policy`, `Referrer-Policy` and \
`X-Content-Type-Options`. Every error is `{ \"error\": { \"code\", \"message\", \"details\" } }`: the code is \
for programs, the message for people, and neither carries a cause.";

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
        },
    })
}

/// The schemas of everything the rows speak of.
fn schemas_of(table: &[&Operation]) -> BTreeMap<String, Value> {
    let mut response_shapes = Vec::new();
    for shape in table.iter().flat_map(|row| row.doc.response_shapes()) {
        response_shapes.push(((shape.name)().into_owned(), (shape.schema)()));
        (shape.referenced)(&mut response_shapes);
    }
    let response_shapes = response_shapes
        .into_iter()
        .map(|(name, schema)| (name, require_all_properties(value(schema))));
    let request_shapes = table.iter().filter_map(|row| row.doc.accepts);
    let request_shapes =
        request_shapes.map(|shape| ((shape.name)().into_owned(), value((shape.schema)())));
    let fixed = [("Error", schema::error()), ("Nothing", value(schema::nothing()))];
    let fixed = fixed.map(|(name, schema)| (name.to_owned(), schema));
    response_shapes.chain(request_shapes).chain(fixed).collect()
}

fn value(schema: impl serde::Serialize) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}

/// All fields of what is shown are always there, null where nothing is known.
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
