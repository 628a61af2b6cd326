//! The parameters of operations: in path, query and headers. A parameter has the same meaning in
//! every operation and is described once.

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

/// Returns references to the parameters of an operation; `None` for a parameter without a
/// description.
pub(super) fn references(row: &Operation) -> Vec<Option<Value>> {
    let path = row.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let guarded = row.requires != Requires::Nothing;
    let takes_if_match = guarded && matches!(row.method, Method::PATCH | Method::DELETE);
    let takes_if_none_match =
        row.doc.responses().any(|response| response.tagged) && row.method == Method::GET;
    let headers = [
        (guarded && row.is_recorded(), "Idempotency-Key"),
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

/// Returns the descriptions of all parameters.
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

/// The pattern of `If-Match`: `*` or a list of entity tags, in which empty items and blanks are
/// allowed.
const ENTITY_TAGS_PATTERN: &str = "^[ \\t]*(\\*|(,[ \\t]*)*(W/)?\"[!#-~\\u0080-\\u00ff]*\"([ \\t]*(,[ \\t]*)+(W/)?\"[!#-~\\u0080-\\u00ff]*\")*([ \\t]*,)*)[ \\t]*$";

static PARAMETERS: [Parameter; 18] = [
    Parameter {
        location: ParameterLocation::Path,
        name: "session",
        about: "The `id` of a session. A text that is not an id is not found.",
        schema: || json!({ "type": "string", "minLength": 1, "examples": ["sess_01JGXS1DN00000000000000001"] }),
    },
    Parameter {
        location: ParameterLocation::Path,
        name: "key",
        about: "The `id` of an API key. A text that is not an id is not found.",
        schema: || json!({ "type": "string", "minLength": 1, "examples": ["key_01JGXS1DN00000000000000002"] }),
    },
    Parameter {
        location: ParameterLocation::Path,
        name: "webhook",
        about: "The `id` of a webhook. A text that is not an id is not found.",
        schema: || json!({ "type": "string", "minLength": 1, "examples": ["wh_01JGXS1DN00000000000000004"] }),
    },
    Parameter {
        location: ParameterLocation::Path,
        name: "deadLetter",
        about: "The `id` of the event of a dead letter, or of a failing event. A text that is not an id is not found.",
        schema: || json!({ "type": "string", "minLength": 1, "examples": ["evt_01JGXS1DN00000000000000003"] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "limit",
        about: "Maximum number of entries on a page.",
        schema: || json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50, "examples": [20] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "cursor",
        about: "The `nextCursor` of the previous page, with the same filters. A cursor that was not \
                issued for this list with these filters is a `validation_error`.",
        schema: || json!({ "type": "string" }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "status",
        about: "Filters by status. May be repeated to match several statuses.",
        schema: || {
            let known = Status::ALL.map(Status::as_str);
            json!({ "type": "array", "items": { "type": "string", "enum": known }, "examples": [["working", "failed"]] })
        },
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "label",
        about: "Filters by the exact label.",
        schema: || json!({ "type": "string", "pattern": NO_NUL, "examples": ["Front desk"] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "gatewayId",
        about: "Filters by gateway.",
        schema: || json!({ "type": "string", "examples": ["gw-sg-1"] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "phoneNumber",
        about: "Filters by the linked phone number: digits, without the plus.",
        schema: || json!({ "type": "string", "pattern": "^[0-9]+$", "examples": ["15550000001"] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "organizationId",
        about: "Filters by organization.",
        schema: || json!({ "type": "string", "examples": ["acme"] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "sessionId",
        about: "Filters by session, also a deleted one.",
        schema: || json!({ "type": "string", "examples": ["sess_01JGXS1DN00000000000000001"] }),
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "event",
        about: "Filters by the name of the event.",
        schema: || {
            let known = EventName::ALL.map(EventName::as_str);
            json!({ "type": "string", "enum": known, "examples": ["session.deleted"] })
        },
    },
    Parameter {
        location: ParameterLocation::Query,
        name: "wait",
        about: "Maximum time to wait for a code, in seconds.",
        schema: || json!({ "type": "integer", "minimum": 0, "maximum": 30, "default": 10, "examples": [20] }),
    },
    Parameter {
        location: ParameterLocation::Header,
        name: "Idempotency-Key",
        about: "Makes the request safe to repeat: the first response is recorded for 24 hours and \
                returned again. 1–255 visible ASCII characters; use a random value, such as a UUID.",
        schema: || {
            let example = "8e03978e-40d5-43dd-bc93-6894a57f9324";
            json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$", "examples": [example] })
        },
    },
    Parameter {
        location: ParameterLocation::Header,
        name: "If-Match",
        about: "Performs the request only if the entity tag of the object is in the list; `*` matches every \
                tag. Weak tags never match.",
        schema: || json!({ "type": "string", "pattern": ENTITY_TAGS_PATTERN, "examples": ["\"7\""] }),
    },
    Parameter {
        location: ParameterLocation::Header,
        name: "If-None-Match",
        about: "Returns 304 without a body if the entity tag of the object is in the list.",
        schema: || json!({ "type": "string", "examples": ["\"7\""] }),
    },
    Parameter {
        location: ParameterLocation::Header,
        name: "X-Request-Id",
        about: "The id of this request in the access log. A value other than 1–128 visible ASCII \
                characters is replaced by a new id.",
        schema: || json!({ "type": "string", "examples": ["my-request-1"] }),
    },
];
