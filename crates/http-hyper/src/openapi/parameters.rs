//! What requests say besides their body: by path, query and header. A parameter of one name is the same
//! thing in every row that has it, and is described once.

use domain::{EventName, Status};
use hyper::Method;
use serde_json::{Value, json};

use crate::api::{Operation, Requires};
use crate::wire::schema::NO_NUL;

/// A parameter.
struct Parameter {
    location: ParameterLocation,
    name: &'static str,
    about: &'static str,
    schema: fn() -> Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParameterLocation {
    Path,
    Query,
    Header,
}

impl ParameterLocation {
    const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// The parameters of this row, by reference; `None` for one that is not described here.
pub(super) fn references(row: &Operation) -> Vec<Option<Value>> {
    let path = row.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let guarded = row.requires != Requires::Nothing;
    let takes_if_match = guarded && matches!(row.method, Method::PATCH | Method::DELETE);
    let takes_if_none_match =
        row.doc.responses().any(|response| response.tagged) && row.method == Method::GET;
    let headers = [
        (guarded && row.method == Method::POST, "Idempotency-Key"),
        (takes_if_match, "If-Match"),
        (takes_if_none_match, "If-None-Match"),
        (true, "X-Request-Id"),
    ];
    let headers = headers.into_iter().filter(|(has, _)| *has).map(|(_, name)| name);
    path.map(|name| reference(ParameterLocation::Path, name))
        .chain(row.query.iter().map(|name| reference(ParameterLocation::Query, name)))
        .chain(headers.map(|name| reference(ParameterLocation::Header, name)))
        .collect()
}

fn reference(location: ParameterLocation, name: &str) -> Option<Value> {
    let known = PARAMETERS.iter().find(|known| known.location == location && known.name == name)?;
    Some(json!({ "$ref": format!("#/components/parameters/{}", known.name) }))
}

/// All of them, in full.
pub(super) fn components() -> Value {
    let all = PARAMETERS.iter().map(|parameter| {
        let full = json!({
            "name": parameter.name,
            "in": parameter.location.name(),
            "required": parameter.location == ParameterLocation::Path,
            "description": parameter.about,
            "schema": (parameter.schema)(),
        });
        (parameter.name.to_owned(), full)
    });
    Value::Object(all.collect())
}

/// A list of entity tags, or `*`, exactly as `If-Match` is read: empty items and blanks are allowed.
const ENTITY_TAGS_PATTERN: &str = "^[ \\t]*(\\*|(,[ \\t]*)*(W/)?\"[!#-~\\u0080-\\u00ff]*\"([ \\t]*(,[ \\t]*)+(W/)?\"[!#-~\\u0080-\\u00ff]*\")*([ \\t]*,)*)[ \\t]*$";

static PARAMETERS: [Parameter; 16] = [
    Parameter {
        location: ParameterLocation::Path,
        name: "session",
        about: "A session's `id`. What cannot be an id is simply not found.",
        schema: || json!({ "type": "string", "minLength": 1, "examples": ["sess_01JGXS1DN00000000000000001"] }),
    },
    Parameter {
        location: ParameterLocation::Path,
        name: "key",
        about: "An API key's `id`. What cannot be an id is simply not found.",
        schema: || json!({ "type": "string", "minLength": 1, "examples": ["key_01JGXS1DN00000000000000002"] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "limit",
        about: "At most so many on a page.",
        schema: || json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50, "examples": [20] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "cursor",
        about: "The `nextCursor` of the page before, under the same conditions. One that this list \
                did not give out under these conditions is a `validation_error`.",
        schema: || json!({ "type": "string" }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "status",
        about: "Only those with this status; given several times, with any of them.",
        schema: || {
            let known = Status::ALL.map(Status::as_str);
            json!({ "type": "array", "items": { "type": "string", "enum": known }, "examples": [["working", "failed"]] })
        },
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "label",
        about: "Only those with exactly this label.",
        schema: || json!({ "type": "string", "pattern": NO_NUL, "examples": ["Front desk"] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "gatewayId",
        about: "Only those on this gateway.",
        schema: || json!({ "type": "string", "examples": ["gw-sg-1"] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "phoneNumber",
        about: "Only those linked to this number: digits, without the plus.",
        schema: || json!({ "type": "string", "pattern": "^[0-9]+$", "examples": ["15550000001"] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "organizationId",
        about: "Only those of this organization.",
        schema: || json!({ "type": "string", "examples": ["acme"] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "sessionId",
        about: "Only those that tell of this session, deleted or not.",
        schema: || json!({ "type": "string", "examples": ["sess_01JGXS1DN00000000000000001"] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "event",
        about: "Only those of this kind.",
        schema: || {
            let known = EventName::ALL.map(EventName::as_str);
            json!({ "type": "string", "enum": known, "examples": ["session.deleted"] })
        },
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "wait",
        about: "How many seconds to wait for a code.",
        schema: || json!({ "type": "integer", "minimum": 0, "maximum": 30, "default": 10, "examples": [20] }),
    },
    Parameter {
        location: ParameterLocation::Header,
        name: "Idempotency-Key",
        about: "Makes the request safe to repeat: the first answer to it is kept for 24 hours and \
                given again. 1–255 visible ASCII characters; use random ones, such as a UUID.",
        schema: || {
            let example = "8e03978e-40d5-43dd-bc93-6894a57f9324";
            json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$", "examples": [example] })
        },
    },
    Parameter {
        location: ParameterLocation::Header,
        name: "If-Match",
        about: "Only if it is still at one of these entity tags; `*` is any. Weak tags match none.",
        schema: || json!({ "type": "string", "pattern": ENTITY_TAGS_PATTERN, "examples": ["\"7\""] }),
    },
    Parameter {
        location: ParameterLocation::Header,
        name: "If-None-Match",
        about: "Only if it is at none of these entity tags; else the answer is 304 without a body.",
        schema: || json!({ "type": "string", "examples": ["\"7\""] }),
    },
    Parameter {
        location: ParameterLocation::Header,
        name: "X-Request-Id",
        about: "A name for this request, to find it in our log by. What is not 1–128 visible ASCII \
                characters is replaced by a new one.",
        schema: || json!({ "type": "string", "examples": ["my-request-1"] }),
    },
];
