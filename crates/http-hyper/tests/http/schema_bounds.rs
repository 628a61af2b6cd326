//! The service accepts exactly the requests that the schemas allow. Each bound of each schema is
//! tried at its edge and just beyond, with further unusual values.
//!
//! The readers are written by hand; these tests keep schemas and readers equal.

use std::time::Duration;

use http_hyper::api::{Operation, RequestBodySpec, operations};
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::{
    client::{ReceivedResponse, Version, ask, send},
    conformity::{DOCUMENT, assert_documented, operation, resolved, validator},
    mutations::{self, NASTY},
    operation_calls::{caller_of, entitled, guarded, of_callers, path, ready_for},
    test_server::TestServer,
};

/// Faults that need a lookup, or several fields, which no schema can state.
const OF_THE_MOMENT: [&str; 15] = [
    // A schema bounds the number of characters.
    "1 to 65536 bytes in UTF-8",
    "must be in the future",
    "at most 7 days ahead",
    "no such chat",
    "no such message in the chat",
    "no such session",
    "was not issued by this list",
    "since or after is required, unless deadOnly is true",
    "since and after exclude each other",
    "must be after since",
    "is required, because the link names no phone",
    "the link is for another phone",
    "its origin is not among the return origins that the operator allows",
    "a masked value without a previous value",
    // With the headers that the webhook has.
    "at most 20 headers",
];

/// Checks that the reader accepts a value iff the schema allows the value, whatever the use case
/// answers.
fn assert_taken(allowed: bool, answer: &ReceivedResponse, about: &str) {
    assert!(answer.status.as_u16() < 500 && answer.status != 415, "{about}: {answer:?}");
    if !allowed {
        assert_eq!(answer.code(), "validation_error", "not allowed: {about}: {answer:?}");
        return;
    }
    let faults = answer.json()["error"]["details"]["fields"].clone();
    let faults = faults.as_array().cloned().unwrap_or_default();
    let of_the_moment = |fault: &Value| OF_THE_MOMENT.contains(&fault["reason"].as_str().unwrap());
    let taken = answer.status != 400 || faults.iter().all(of_the_moment);
    assert!(taken, "allowed: {about}: {answer:?}");
}

/// Returns the schema of an operation's body, and a valid body.
async fn body_of(row: &Operation, server: &TestServer) -> (&'static Value, Value) {
    let content = &operation(row)["requestBody"]["content"];
    let media = content.as_object().unwrap().values().next().unwrap();
    let mut sample = media["example"].clone();
    if sample.get("sessions").is_some() {
        sample["sessions"] = json!([server.world.acme_session().await.id.as_str()]);
        // In the future of the test clock.
        sample["expiresAt"] = json!(4_000_000_000_000_i64);
    }
    (resolved(&media["schema"]), sample)
}

#[tokio::test]
async fn body_is_accepted_iff_its_schema_allows_it() {
    let server = TestServer::open().await;
    for row in of_callers().filter(|row| row.body_spec != RequestBodySpec::Ignored) {
        let (schema, sample) = body_of(row, &server).await;
        let judge = validator(schema);
        assert!(judge.is_valid(&sample), "{row:?}: {sample}");
        let mut tried = mutations::of(schema, &sample);
        tried.push(mutations::Tried::good(sample));
        let id = ready_for(&server, row).await;
        let (mut at, caller) = (path(row, &id), caller_of(&server, row, &id).await);
        for one in tried {
            if row.method == Method::PATCH {
                // Consecutive patches would exceed the limit together.
                at = path(row, &ready_for(&server, row).await);
            }
            let about = format!("{row:?} of {:.300}", one.value.to_string());
            let allowed = judge.is_valid(&one.value);
            assert!(one.expected.is_none_or(|so| so == allowed), "allowed: {allowed}: {about}");
            let method = row.method.as_str();
            let answer = server.say(Version::One, &caller, method, &at, Some(&one.value)).await;
            assert_taken(allowed, &answer, &about);
        }
    }
}

#[tokio::test]
async fn empty_body_is_accepted_iff_no_field_is_required() {
    let server = TestServer::open().await;
    for row in of_callers().filter(|row| row.body_spec != RequestBodySpec::Ignored) {
        let required = operation(row)["requestBody"]["required"].as_bool().unwrap();
        let id = ready_for(&server, row).await;
        let (at, caller) = (path(row, &id), caller_of(&server, row, &id).await);
        let answer = server.say(Version::Two, &caller, row.method.as_str(), &at, None).await;
        assert_eq!(answer.status == 400, required, "{row:?}: {answer:?}");
    }
}

/// Returns the text of a parameter as JSON: a number or a boolean if the schema is of one.
fn read(text: &str, schema: &Value) -> Value {
    match (schema["type"].as_str(), text.parse::<i64>(), text.parse::<bool>()) {
        (Some("integer"), Ok(number), _) if !text.starts_with('+') => json!(number),
        (Some("boolean"), _, Ok(flag)) => json!(flag),
        (Some("array"), ..) => json!([text]),
        _ => json!(text),
    }
}

/// Returns texts at the bounds of a parameter's schema, and others.
fn texts(schema: &Value) -> Vec<String> {
    let mut texts: Vec<_> = NASTY.iter().map(|text| (*text).to_owned()).collect();
    for (bound, beyond) in [("minimum", -1), ("maximum", 1)] {
        if let Some(edge) = schema[bound].as_i64() {
            texts.extend([edge, edge + beyond].map(|edge| edge.to_string()));
        }
    }
    for (bound, beyond) in [("minLength", -1), ("maxLength", 1)] {
        if let Some(edge) = schema[bound].as_i64() {
            texts.extend([edge, edge + beyond].map(|n| "x".repeat(usize::try_from(n).unwrap())));
        }
    }
    let known = schema["items"]["enum"].as_array().into_iter().flatten();
    texts.extend(known.map(|word| word.as_str().unwrap().to_owned()));
    texts
}

/// Returns name and schema of the parameters in one location.
fn parameters(row: &Operation, place: &str) -> Vec<(&'static str, &'static Value)> {
    let all = operation(row)["parameters"].as_array().unwrap().iter().map(resolved);
    let here = all.filter(|parameter| parameter["in"] == place);
    here.map(|known| (known["name"].as_str().unwrap(), &known["schema"])).collect()
}

#[tokio::test]
async fn query_parameter_is_accepted_iff_its_schema_allows_it() {
    let server = TestServer::open().await;
    // Events end the waits of pages.
    let world = server.world.clone();
    tokio::spawn(async move {
        loop {
            world.acme_session().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    for row in guarded() {
        let known = parameters(row, "query");
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, row.query, "{row:?}");
        let at = path(row, &ready_for(&server, row).await);
        for (name, schema) in known {
            for text in texts(schema) {
                let asked = format!("{at}?{name}={}", utf8_percent_encode(&text, NON_ALPHANUMERIC));
                let body = serde_json::from_str::<Value>(&body_of_required(row)).ok();
                let (caller, method) = (entitled(row), row.method.as_str());
                let answer = server.say(Version::One, caller, method, &asked, body.as_ref()).await;
                let allowed = validator(schema).is_valid(&read(&text, schema));
                assert_taken(allowed, &answer, &format!("{row:?} {name} {text:?}"));
            }
        }
        let unknown =
            server.ask(entitled(row), row.method.as_str(), &format!("{at}?unknown=1")).await;
        assert_eq!(unknown.status, 400, "{row:?}");
    }
}

/// Valid and malformed values of `If-Match`.
const TAGS: [&str; 16] = [
    "*",
    "\"7\"",
    "W/\"7\"",
    " \"7\"",
    "\"7\", \"8\"",
    "\"7\",,\"8\",",
    ",\"7\"",
    "\"\"",
    "7",
    ",",
    "w/\"7\"",
    "\"7\" \"8\"",
    "\"7\", *",
    "\"a b\"",
    "*, *",
    "\"7",
];

#[tokio::test]
async fn header_is_accepted_iff_its_schema_allows_it() {
    let server = TestServer::open().await;
    for row in guarded() {
        for (name, schema) in parameters(row, "header") {
            let texts = texts(schema).into_iter().chain(TAGS.map(str::to_owned));
            let mut at = path(row, &ready_for(&server, row).await);
            for text in texts.filter(|text| text.trim() == text) {
                let Ok(value) = hyper::header::HeaderValue::try_from(text.as_bytes()) else {
                    continue;
                };
                if row.method == Method::DELETE {
                    at = path(row, &ready_for(&server, row).await);
                }
                let mut request = ask(row.method.as_str(), &at).header(name, value);
                request = request.header("authorization", "Bearer acme");
                // A stream of events has no end.
                request = request.header("accept", "application/json");
                if operation(row)["requestBody"]["required"] == true {
                    request = request.header("content-type", "application/json");
                }
                let body = body_of_required(row);
                let answer = send(server.address, Version::One, request, body).await;
                assert_documented(row.method.as_str(), &at, &answer);
                let allowed = validator(schema).is_valid(&latin(&text));
                let about = format!("{row:?} {name}: {text:?}");
                assert_taken(allowed, &answer, &about);
            }
        }
    }
}

fn body_of_required(row: &Operation) -> String {
    let body = &operation(row)["requestBody"];
    if body["required"] != true {
        return String::new();
    }
    body["content"]["application/json"]["example"].to_string()
}

/// Returns the bytes of a header as the characters that the pattern of the document matches.
fn latin(text: &str) -> Value {
    text.bytes().map(char::from).collect::<String>().into()
}

#[test]
fn body_schemas_allow_no_unknown_fields() {
    for row in operations().filter(|row| row.body_spec != RequestBodySpec::Ignored) {
        let content = operation(row)["requestBody"]["content"].as_object().unwrap();
        for media in content.values() {
            assert_eq!(resolved(&media["schema"])["additionalProperties"], false, "{row:?}");
        }
    }
    assert!(DOCUMENT["components"]["schemas"]["Nothing"].is_object());
}
