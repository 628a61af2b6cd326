//! One row of the table as an operation of the document.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    content::{self, reference},
    failures::{self, Failure},
    headers, parameters,
    words::Answer,
};
use crate::api::{Intake, Needs, Operation};

/// The operation.
pub(super) fn of(row: &Operation, table: &[&Operation]) -> Value {
    let words = row.words;
    let mut operation = json!({
        "operationId": row.name,
        "summary": words.summary,
        "description": format!("{}{}", words.description, needed(row.needs)),
        "tags": [words.tag.name()],
        "parameters": parameters::of(row),
        "responses": responses(row, table),
        "security": match row.needs {
            Needs::Nothing => json!([]),
            // Keys are refused whatever they carry.
            Needs::Platform => json!([{ "bearer": [] }]),
            _ => json!([{ "bearer": [] }, { "apiKey": [] }]),
        },
    });
    if let Some(body) = body(row) {
        operation["requestBody"] = body;
    }
    operation
}

const fn needed(needs: Needs) -> &'static str {
    match needs {
        Needs::Nothing => "",
        Needs::Manage => "\n\nNeeds the capability `manage`.",
        Needs::ManageAll => {
            "\n\nNeeds the capability `manage` over the whole organization: a key that is confined to \
             sessions does not have it."
        }
        Needs::Platform => {
            "\n\nNeeds a login token with the platform role `super_admin`; keys are refused whatever \
             they carry."
        }
    }
}

fn body(row: &Operation) -> Option<Value> {
    let kinds: &[&str] = match row.intake {
        Intake::Ignored => return None,
        Intake::Empty | Intake::Json => &crate::payload::JSON,
        Intake::Patch => &crate::payload::MERGE_PATCH,
    };
    let (schema, example, required) = match row.words.takes {
        Some(shape) => {
            let schema = (shape.schema)();
            let required = serde_json::to_value(&schema).unwrap_or_default();
            let required = required["required"].as_array().is_some_and(|names| !names.is_empty());
            (reference(&(shape.name)()), (shape.example)(), required)
        }
        None => (reference("Nothing"), json!({}), false),
    };
    let content = json!({ "schema": schema, "example": example });
    let content: Map<_, _> =
        kinds.iter().map(|kind| ((*kind).to_owned(), content.clone())).collect();
    Some(json!({ "required": required, "content": content }))
}

/// What is said with one status.
#[derive(Default)]
struct Said<'a> {
    answers: Vec<&'a Answer>,
    failures: Vec<&'static Failure>,
}

fn said(row: &Operation) -> BTreeMap<u16, Said<'_>> {
    let mut said: BTreeMap<u16, Said<'_>> = BTreeMap::new();
    for answer in row.words.answers() {
        said.entry(answer.status).or_default().answers.push(answer);
    }
    for failure in failures::of(row) {
        said.entry(failure.status()).or_default().failures.push(failure);
    }
    said
}

fn responses(row: &Operation, table: &[&Operation]) -> Value {
    let said = said(row).into_iter();
    let mut responses: Map<_, _> =
        said.map(|(status, said)| (status.to_string(), said.response(row, table))).collect();
    if row.method == Method::GET && row.words.answer.tagged {
        responses.insert("304".to_owned(), json!({ "$ref": "#/components/responses/NotModified" }));
    }
    Value::Object(responses)
}

impl Said<'_> {
    /// The failure that is all that is said.
    fn alone(&self) -> Option<&'static Failure> {
        match (self.answers.as_slice(), self.failures.as_slice()) {
            ([], [failure]) => Some(failure),
            _ => None,
        }
    }

    fn response(&self, row: &Operation, table: &[&Operation]) -> Value {
        if let Some(failure) = self.alone() {
            return json!({ "$ref": format!("#/components/responses/{}", failure.name) });
        }
        let told = self.answers.iter().map(|answer| answer.about);
        let told: Vec<_> = told.chain(self.failures.iter().map(|failure| failure.about)).collect();
        let mut names: Vec<_> =
            self.answers.iter().flat_map(|answer| answer_headers(answer, row)).collect();
        let posts = row.method == Method::POST;
        names.extend(self.failures.iter().flat_map(|failure| failure_headers(failure, posts)));
        let mut response =
            json!({ "description": told.join("\n\n"), "headers": headers::of(names) });
        let content = content::of(&self.answers, &self.failures);
        if content != json!({}) {
            response["content"] = content;
        }
        if self.answers.iter().any(|answer| answer.located) {
            response["links"] = links(row, table);
        }
        response
    }
}

fn answer_headers(answer: &Answer, row: &Operation) -> Vec<String> {
    let has = [
        (true, "x-request-id"),
        (answer.tagged, "etag"),
        (answer.located, "location"),
        (answer.varies, "vary"),
        (row.method == Method::POST, "idempotency-replayed"),
    ];
    has.into_iter().filter(|(has, _)| *has).map(|(_, name)| name.to_owned()).collect()
}

/// `repeatable`: whether some row with this failure takes an `Idempotency-Key`.
fn failure_headers(failure: &Failure, repeatable: bool) -> Vec<String> {
    let mut names = failure.headers();
    names.push("x-request-id".to_owned());
    match failure.status() {
        // What a handler refuses for good is kept for an `Idempotency-Key`.
        400 | 404 | 409 if repeatable => names.push("idempotency-replayed".to_owned()),
        _ => {}
    }
    names
}

/// To everything that can be done with what was made.
fn links(row: &Operation, table: &[&Operation]) -> Value {
    let below = format!("{}/{{", row.path);
    let links = table.iter().filter_map(|other| {
        let name = other.path.strip_prefix(&below)?.split('}').next()?;
        let link = json!({
            "operationId": other.name,
            "description": other.words.summary,
            "parameters": { name: "$response.body#/id" },
        });
        Some((other.name.to_owned(), link))
    });
    Value::Object(links.collect())
}

/// Every failure that is all that some row says with its status, once.
pub(super) fn shared_responses(table: &[&Operation]) -> Value {
    let mut shared = Map::new();
    let said = table.iter().flat_map(|row| said(row).into_values());
    for failure in said.filter_map(|said| said.alone()) {
        let response = json!({
            "description": failure.about,
            "headers": headers::of(failure_headers(failure, true)),
            "content": content::of(&[], &[failure]),
        });
        shared.insert(failure.name.to_owned(), response);
    }
    shared.insert(
        "NotModified".to_owned(),
        json!({
            "description": "You have just that already: it is at an entity tag of `If-None-Match`.",
            "headers": headers::of(["x-request-id", "etag"]),
        }),
    );
    Value::Object(shared)
}
