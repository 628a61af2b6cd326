//! An operation of the table as an operation of the document.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    content::{self, reference},
    failure::Failure,
    failures, headers,
    operation_doc::{ResponseDoc, ResponseKind},
    parameters,
};
use crate::api::{Operation, RequestBodySpec, Requires};

/// Returns the description of an operation.
pub(super) fn describe(row: &Operation, table: &[&Operation]) -> Value {
    let doc = row.doc;
    let mut operation = json!({
        "operationId": row.name,
        "summary": doc.summary,
        "description": format!("{}{}", doc.description, permission_text(row.requires)),
        "tags": [doc.tag.name()],
        "parameters": parameters::references(row),
        "responses": responses(row, table),
        "security": match row.requires {
            Requires::Nothing
            | Requires::SameOrigin
            | Requires::HandoverOrigin
            | Requires::LinkSecret => json!([]),
            Requires::Link => json!([{ "linkCookie": [] }]),
            Requires::BrowserSession => json!([{ "browserSession": [] }]),
            Requires::Ticket => json!([{ "ticket": [] }]),
            // API keys are rejected whatever capabilities they have.
            Requires::Platform => json!([{ "bearer": [] }, { "browserSession": [] }]),
            _ => json!([{ "bearer": [] }, { "apiKey": [] }, { "browserSession": [] }]),
        },
    });
    if let Some(body) = body(row) {
        operation["requestBody"] = body;
    }
    operation
}

const fn permission_text(requires: Requires) -> &'static str {
    match requires {
        Requires::Nothing => "",
        Requires::LinkSecret => {
            "\n\nNeeds no credential. A request of another origin gets the response of a link that does not exist."
        }
        Requires::Link => {
            "\n\nNeeds the cookie of the browser that opened a share link, in a request of a page of this service."
        }
        Requires::Credential => "\n\nNeeds a credential of any kind, whatever its capabilities.",
        Requires::Ticket => {
            "\n\nNeeds a ticket, which is used up by the upgrade. A ticket that is malformed, expired or used up, \
             and a ticket of a revoked key are one 401."
        }
        Requires::BrowserSession => {
            "\n\nNeeds the cookie of a browser session, in a request of a page of this service."
        }
        Requires::SameOrigin => {
            "\n\nNeeds a request of a page of this service: `Sec-Fetch-Site: same-origin`, or the `Origin` of the \
             public URL. Any other request is a 401."
        }
        Requires::HandoverOrigin => "\n\nNeeds an `Origin` that the operator has listed.",
        Requires::AnyCapability => {
            "\n\nNeeds any capability. Each kind of event needs the capability that the table of events names."
        }
        Requires::Read => "\n\nNeeds the capability `read`.",
        Requires::Send => "\n\nNeeds the capability `send`.",
        Requires::Manage => "\n\nNeeds the capability `manage`.",
        Requires::ManageAll => {
            "\n\nNeeds the capability `manage` over the whole organization, which a key that is confined to \
             sessions does not have."
        }
        Requires::Platform => {
            "\n\nNeeds a login token with the platform role `super_admin`; API keys are rejected whatever \
             capabilities they have."
        }
    }
}

fn body(row: &Operation) -> Option<Value> {
    let kinds: &[&str] = match row.body_spec {
        RequestBodySpec::Ignored => return None,
        RequestBodySpec::Empty | RequestBodySpec::Json => &crate::request::media_type::JSON,
        RequestBodySpec::Patch => &crate::request::media_type::MERGE_PATCH,
        RequestBodySpec::Form => &crate::request::media_type::FORM,
    };
    let (schema, example, required) = match row.doc.accepts {
        Some(shape) => {
            let schema = (shape.schema)();
            let required = serde_json::to_value(&schema).unwrap_or_default();
            let required = required["required"].as_array().is_some_and(|names| !names.is_empty())
                || required["minProperties"].as_u64().is_some_and(|least| least > 0);
            (reference(&(shape.name)()), (shape.example)(), required)
        }
        None => (reference("Nothing"), json!({}), false),
    };
    let content = json!({ "schema": schema, "example": example });
    let content: Map<_, _> =
        kinds.iter().map(|kind| ((*kind).to_owned(), content.clone())).collect();
    Some(json!({ "required": required, "content": content }))
}

/// The responses and failures with one status.
#[derive(Default)]
struct ResponsesOfStatus<'a> {
    responses: Vec<&'a ResponseDoc>,
    failures: Vec<&'static Failure>,
}

fn by_status(row: &Operation) -> BTreeMap<u16, ResponsesOfStatus<'_>> {
    let mut by_status: BTreeMap<u16, ResponsesOfStatus<'_>> = BTreeMap::new();
    for response in row.doc.responses() {
        by_status.entry(response.status).or_default().responses.push(response);
    }
    for failure in failures::possible_failures(row) {
        by_status.entry(failure.status()).or_default().failures.push(failure);
    }
    by_status
}

fn responses(row: &Operation, table: &[&Operation]) -> Value {
    let by_status = by_status(row).into_iter();
    let mut responses: Map<_, _> = by_status
        .map(|(status, responses)| (status.to_string(), responses.response(row, table)))
        .collect();
    if row.method == Method::GET && row.doc.response.tagged {
        responses.insert("304".to_owned(), json!({ "$ref": "#/components/responses/NotModified" }));
    }
    Value::Object(responses)
}

impl ResponsesOfStatus<'_> {
    /// Returns the failure if it is the only response with the status.
    fn only_failure(&self) -> Option<&'static Failure> {
        match (self.responses.as_slice(), self.failures.as_slice()) {
            ([], [failure]) => Some(failure),
            _ => None,
        }
    }

    fn response(&self, row: &Operation, table: &[&Operation]) -> Value {
        if let Some(failure) = self.only_failure() {
            return json!({ "$ref": format!("#/components/responses/{}", failure.name) });
        }
        let descriptions = self.responses.iter().map(|response| response.about);
        let descriptions: Vec<_> =
            descriptions.chain(self.failures.iter().map(|failure| failure.about)).collect();
        let mut names: Vec<_> =
            self.responses.iter().flat_map(|response| response_headers(response, row)).collect();
        let repeatable = row.takes_idempotency_key();
        names.extend(self.failures.iter().flat_map(|failure| failure_headers(failure, repeatable)));
        let mut response =
            json!({ "description": descriptions.join("\n\n"), "headers": headers::of(names) });
        let content = content::of(&self.responses, &self.failures);
        if content != json!({}) {
            response["content"] = content;
        }
        if self.responses.iter().any(|response| response.located) {
            response["links"] = links(row, table);
        }
        response
    }
}

fn response_headers(response: &ResponseDoc, row: &Operation) -> Vec<String> {
    let has = [
        (true, "x-request-id"),
        (response.tagged, "etag"),
        (response.located, "location"),
        (response.varies, "vary"),
        (response.sets_cookie, "set-cookie"),
        (response.kind == ResponseKind::Stream, "x-accel-buffering"),
        (response.kind == ResponseKind::Upgrade, "upgrade"),
        (response.kind == ResponseKind::Upgrade, "sec-websocket-accept"),
        (row.takes_idempotency_key(), "idempotency-replayed"),
    ];
    has.into_iter().filter(|(has, _)| *has).map(|(_, name)| name.to_owned()).collect()
}

/// Returns the headers of a failure. `repeatable`: whether an operation with this failure accepts
/// an `Idempotency-Key`.
fn failure_headers(failure: &Failure, repeatable: bool) -> Vec<String> {
    let mut names = failure.headers();
    names.push("x-request-id".to_owned());
    match failure.status() {
        // Final refusals of a handler are recorded for an `Idempotency-Key`.
        400 | 404 | 409 | 422 if repeatable => names.push("idempotency-replayed".to_owned()),
        _ => {}
    }
    names
}

/// Returns links to all operations on the created object.
fn links(row: &Operation, table: &[&Operation]) -> Value {
    let below = format!("{}/{{", row.path);
    let links = table.iter().filter_map(|other| {
        let name = other.path.strip_prefix(&below)?.split('}').next()?;
        let mut parameters = json!({ name: "$response.body#/id" });
        for parent in row.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            parameters[parent] = json!(format!("$request.path.{parent}"));
        }
        let link = json!({
            "operationId": other.name,
            "description": other.doc.summary,
            "parameters": parameters,
        });
        Some((other.name.to_owned(), link))
    });
    Value::Object(links.collect())
}

/// Returns each failure that is the only response with its status in an operation, once.
pub(super) fn shared_responses(table: &[&Operation]) -> Value {
    let mut shared = Map::new();
    let by_status = table.iter().flat_map(|row| by_status(row).into_values());
    for failure in by_status.filter_map(|responses| responses.only_failure()) {
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
            "description": "The entity tag of the object is in `If-None-Match`: the cached response is current.",
            "headers": headers::of(["x-request-id", "etag"]),
        }),
    );
    Value::Object(shared)
}
