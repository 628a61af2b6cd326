//! The conformity of responses to the document: status, headers, media type, body. The test server
//! checks every response, so that each test also tests the document.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

use http_hyper::{
    api::{Operation, operations},
    openapi,
};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::client::ReceivedResponse;

/// The document of the operation table.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi::document);

/// Headers of every response, which the document states in its description only.
const EVERYWHERE: [&str; 9] = [
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "referrer-policy",
    "x-content-type-options",
];

/// Checks a response against the document, if the request belongs to an operation.
pub(crate) fn assert_documented(method: &str, path: &str, answer: &ReceivedResponse) {
    let Some(row) = row(method, path) else { return };
    let about = format!("{row:?} answered {} {:?}", answer.status, answer.headers);
    let status = answer.status.as_str();
    let said = resolved(&operation(row)["responses"][status]);
    assert!(said.is_object(), "the document knows no {status} of it: {about}");
    assert_headers(said, answer, &about);
    let kind = answer.header("content-type").split(';').next().unwrap_or_default();
    let Some(content) = said["content"].as_object() else {
        assert!(answer.body.is_empty(), "the document knows no body of it: {about}");
        return;
    };
    let media =
        content.get(kind).unwrap_or_else(|| panic!("the document knows no {kind:?}: {about}"));
    if kind == "application/json" {
        let body = answer.json();
        assert_valid(&closed(&media["schema"]), &body, &about);
        // The `error` of a message is a part of the message, and its schema lists the codes.
        let code = &body["error"]["code"];
        let is_known = answer.status.is_success() || codes(media).contains(&code);
        assert!(is_known || code.is_null(), "undocumented {code}: {about}");
    }
}

/// Returns the operation of a request.
fn row(method: &str, path: &str) -> Option<&'static Operation> {
    let path = path.split('?').next().unwrap_or_default();
    operations().find(|row| row.method.as_str() == method && leads_to(row.path, path))
}

fn leads_to(template: &str, path: &str) -> bool {
    let Some((before, rest)) = template.split_once('{') else { return template == path };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    let Some(rest) = path.strip_prefix(before) else { return false };
    // An id ends at the next slash or colon.
    let (id, rest) = rest.split_at(rest.find(['/', ':']).unwrap_or(rest.len()));
    !id.is_empty() && leads_to(after, rest)
}

/// Returns the description of an operation in the document.
pub(crate) fn operation(row: &Operation) -> &'static Value {
    &DOCUMENT["paths"][row.path][row.method.as_str().to_lowercase()]
}

/// Resolves a reference.
pub(crate) fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("a reference within the document");
            DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("there is no {reference}"))
        }
        None => value,
    }
}

fn assert_headers(said: &'static Value, answer: &ReceivedResponse, about: &str) {
    let none = json!({});
    let known = said["headers"].as_object().unwrap_or_else(|| none.as_object().unwrap());
    for name in answer.headers.keys().filter(|name| !EVERYWHERE.contains(&name.as_str())) {
        let known = known.keys().any(|known| known.eq_ignore_ascii_case(name.as_str()));
        assert!(known, "the document knows no {name} of it: {about}");
    }
    for (name, _) in known {
        let header = resolved(&said["headers"][name]);
        let text = answer.header(name);
        if text.is_empty() {
            assert_ne!(header["required"], true, "it lacks {name}: {about}");
            continue;
        }
        let whole = header["schema"]["type"] == "integer";
        let value =
            if whole { text.parse::<u64>().map_or(json!(text), Value::from) } else { json!(text) };
        assert_valid(&header["schema"], &value, about);
    }
}

/// Returns the error codes in the examples of a content.
fn codes(media: &Value) -> Vec<&Value> {
    let examples = media["examples"].as_object().into_iter().flat_map(|examples| examples.values());
    examples.map(|example| &example["value"]["error"]["code"]).collect()
}

/// Returns the schema without unknown fields, so that an undocumented field is a fault.
fn closed(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let closed = members.iter().map(|(name, member)| {
                let parts = ["allOf", "components"].contains(&name.as_str());
                (name.clone(), if parts { member.clone() } else { closed(member) })
            });
            let mut closed: serde_json::Map<_, _> = closed.collect();
            if members.contains_key("$ref") {
                closed.insert("unevaluatedProperties".to_owned(), json!(false));
            }
            Value::Object(closed)
        }
        Value::Array(items) => items.iter().map(closed).collect(),
        other => other.clone(),
    }
}

/// Panics unless the schema allows the value.
pub(crate) fn assert_valid(schema: &Value, value: &Value, about: &str) {
    let faults: Vec<_> = validator(schema).iter_errors(value).map(|e| e.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?} in {value}: {about}");
}

/// Returns a validator for a schema of the document.
pub(crate) fn validator(schema: &Value) -> Arc<Validator> {
    static KNOWN: Mutex<Option<HashMap<String, Arc<Validator>>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap();
    let known = known.get_or_insert_default();
    let made = known.entry(schema.to_string()).or_insert_with(|| {
        let mut whole = schema.clone();
        whole["components"] = json!({ "schemas": DOCUMENT["components"]["schemas"] });
        let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012);
        Arc::new(options.should_validate_formats(true).build(&whole).expect("a schema"))
    });
    made.clone()
}

#[test]
fn undocumented_field_fails_the_conformity_check() {
    let schema = closed(&json!({ "$ref": "#/components/schemas/NewApiKey" }));
    let mut shown = serde_json::to_value(http_hyper::wire::NewApiKeyView::sample()).unwrap();
    assert!(validator(&schema).is_valid(&shown));
    shown["secret"] = json!("x");
    assert!(!validator(&schema).is_valid(&shown));
}
