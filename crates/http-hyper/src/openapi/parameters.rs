//! The parameters of operations: in path, query and headers. A parameter is described once; one
//! that means something else in an operation is described for that operation too.

mod messages;

use domain::{EventName, MAX_EVENT_PATTERNS, MAX_FILTER_SESSIONS, Status};
use hyper::Method;
use serde_json::{Value, json};

use crate::api::{Operation, Requires, TICKET};
use crate::wire::schema::NO_NUL;

/// A parameter.
struct Parameter {
    /// The only operations whose parameter this is; none for a parameter of all others.
    only: &'static [&'static str],
    /// The name among the components of the document.
    component: &'static str,
    location: ParameterLocation,
    name: &'static str,
    about: &'static str,
    schema: fn() -> Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParameterLocation {
    Path,
    Query,
    RequiredQuery,
    Header,
}

impl ParameterLocation {
    const fn is_required(self) -> bool {
        matches!(self, Self::Path | Self::RequiredQuery)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query | Self::RequiredQuery => "query",
            Self::Header => "header",
        }
    }
}

/// Returns every parameter.
fn all() -> impl Iterator<Item = &'static Parameter> {
    PARAMETERS.iter().chain(&messages::PARAMETERS)
}

/// Returns references to the parameters of an operation; `None` for a parameter without a
/// description.
pub(super) fn references(row: &Operation) -> Vec<Option<Value>> {
    let path = row.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let guarded = row.requires != Requires::Nothing;
    let has_version = guarded && row.requires != Requires::BrowserSession;
    let takes_if_match = has_version && matches!(row.method, Method::PATCH | Method::DELETE);
    let takes_if_none_match =
        row.doc.responses().any(|response| response.tagged) && row.method == Method::GET;
    let headers = [
        (row.takes_idempotency_key(), "Idempotency-Key"),
        (row.query.contains(&"after") && row.requires != Requires::Ticket, "Last-Event-ID"),
        (takes_if_match, "If-Match"),
        (takes_if_none_match, "If-None-Match"),
        (true, "X-Request-Id"),
    ];
    let headers = headers.into_iter().filter(|(has, _)| *has).map(|(_, name)| name);
    // The document describes the ticket as a credential.
    let query = row.query.iter().filter(|name| **name != TICKET);
    path.map(|name| reference(row, ParameterLocation::Path, name))
        .chain(query.map(|name| reference(row, ParameterLocation::Query, name)))
        .chain(headers.map(|name| reference(row, ParameterLocation::Header, name)))
        .collect()
}

fn reference(row: &Operation, location: ParameterLocation, name: &str) -> Option<Value> {
    let named = all().filter(|it| it.location.name() == location.name() && it.name == name);
    let applying = named.filter(|it| it.only.is_empty() || it.only.contains(&row.name));
    // A description for the operation precedes the general one.
    let known = applying.max_by_key(|known| !known.only.is_empty())?;
    Some(json!({ "$ref": format!("#/components/parameters/{}", known.component) }))
}

/// The pattern of an event id, which has a ULID, or of a bookmark.
const POSITION: &str = "evt_[0-7][0-9A-HJKMNP-TV-Z]{25}|cur_[A-Za-z0-9_-]{48}";

/// Returns every text that selects kinds of events.
fn event_patterns() -> Vec<String> {
    let mut patterns = vec!["*".to_owned()];
    for name in EventName::ALL.map(EventName::as_str) {
        let ends = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
        patterns.extend(ends.map(|end| format!("{}.*", &name[..end])));
        patterns.push(name.to_owned());
    }
    patterns.sort_unstable();
    patterns.dedup();
    patterns
}

/// Returns the descriptions of all parameters.
pub(super) fn components() -> Value {
    let all = all().map(|parameter| {
        let full = json!({
            "name": parameter.name,
            "in": parameter.location.name(),
            "required": parameter.location.is_required(),
            "description": parameter.about,
            "schema": (parameter.schema)(),
        });
        (parameter.component.to_owned(), full)
    });
    Value::Object(all.collect())
}

/// The pattern of `If-Match`: `*` or a list of entity tags, in which empty items and blanks are
/// allowed.
const ENTITY_TAGS_PATTERN: &str = "^[ \\t]*(\\*|(,[ \\t]*)*(W/)?\"[!#-~\\u0080-\\u00ff]*\"([ \\t]*(,[ \\t]*)+(W/)?\"[!#-~\\u0080-\\u00ff]*\")*([ \\t]*,)*)[ \\t]*$";

/// The operations with a stream of events.
const STREAMS: &[&str] = &["event_stream", "realtime"];

static PARAMETERS: [Parameter; 31] = [
    Parameter {
        only: &[],
        component: "session",
        location: ParameterLocation::Path,
        name: "session",
        about: "The `id` of a session. A text that is not an id is not found.",
        schema: || json!({ "type": "string", "minLength": 1, "examples": ["sess_01JGXS1DN00000000000000001"] }),
    },
    Parameter {
        only: &[],
        component: "key",
        location: ParameterLocation::Path,
        name: "key",
        about: "The `id` of an API key. A text that is not an id is not found.",
        schema: || json!({ "type": "string", "minLength": 1, "examples": ["key_01JGXS1DN00000000000000002"] }),
    },
    Parameter {
        only: &[],
        component: "webhook",
        location: ParameterLocation::Path,
        name: "webhook",
        about: "The `id` of a webhook. A text that is not an id is not found.",
        schema: || json!({ "type": "string", "minLength": 1, "examples": ["wh_01JGXS1DN00000000000000004"] }),
    },
    Parameter {
        only: &[],
        component: "deadLetter",
        location: ParameterLocation::Path,
        name: "deadLetter",
        about: "The `id` of the event of a dead letter, or of a failing event. A text that is not an id is not found.",
        schema: || json!({ "type": "string", "minLength": 1, "examples": ["evt_01JGXS1DN00000000000000003"] }),
    },
    Parameter {
        only: &[],
        component: "return",
        location: ParameterLocation::Query,
        name: "return",
        about: "The page after the login: a path that begins with `/ui/`, which is the default.",
        schema: || json!({ "type": "string", "pattern": "^/ui/", "maxLength": 1024, "examples": ["/ui/keys"] }),
    },
    Parameter {
        only: &[],
        component: "code",
        location: ParameterLocation::Query,
        name: "code",
        about: "The code of the issuer.",
        schema: || json!({ "type": "string", "examples": ["SplxlOBeZQQYbYS6WxSbIA"] }),
    },
    Parameter {
        only: &[],
        component: "state",
        location: ParameterLocation::Query,
        name: "state",
        about: "The state with which the browser began the login.",
        schema: || json!({ "type": "string", "examples": ["af0ifjsldkj"] }),
    },
    Parameter {
        only: &[],
        component: "error",
        location: ParameterLocation::Query,
        name: "error",
        about: "The reason for which the issuer ends the login.",
        schema: || json!({ "type": "string", "examples": ["access_denied"] }),
    },
    Parameter {
        only: &[],
        component: "limit",
        location: ParameterLocation::Query,
        name: "limit",
        about: "Maximum number of entries on a page.",
        schema: || json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50, "examples": [20] }),
    },
    Parameter {
        only: &[],
        component: "cursor",
        location: ParameterLocation::Query,
        name: "cursor",
        about: "The `nextCursor` of the previous page, with the same filters. A cursor that was not \
                issued for this list with these filters is a `validation_error`.",
        schema: || json!({ "type": "string" }),
    },
    Parameter {
        only: &[],
        component: "status",
        location: ParameterLocation::Query,
        name: "status",
        about: "Filters by status. May be repeated to match several statuses.",
        schema: || {
            let known = Status::ALL.map(Status::as_str);
            json!({ "type": "array", "items": { "type": "string", "enum": known }, "examples": [["working", "failed"]] })
        },
    },
    Parameter {
        only: &[],
        component: "label",
        location: ParameterLocation::Query,
        name: "label",
        about: "Filters by the exact label.",
        schema: || json!({ "type": "string", "pattern": NO_NUL, "examples": ["Front desk"] }),
    },
    Parameter {
        only: &[],
        component: "gatewayId",
        location: ParameterLocation::Query,
        name: "gatewayId",
        about: "Filters by gateway.",
        schema: || json!({ "type": "string", "examples": ["gw-sg-1"] }),
    },
    Parameter {
        only: &[],
        component: "phoneNumber",
        location: ParameterLocation::Query,
        name: "phoneNumber",
        about: "Filters by the linked phone number: digits, without the plus.",
        schema: || json!({ "type": "string", "pattern": "^[0-9]+$", "examples": ["15550000001"] }),
    },
    Parameter {
        only: &[],
        component: "organizationId",
        location: ParameterLocation::Query,
        name: "organizationId",
        about: "Filters by organization.",
        schema: || json!({ "type": "string", "examples": ["acme"] }),
    },
    Parameter {
        only: &[],
        component: "sessionId",
        location: ParameterLocation::Query,
        name: "sessionId",
        about: "Filters by session, also a deleted one.",
        schema: || json!({ "type": "string", "examples": ["sess_01JGXS1DN00000000000000001"] }),
    },
    Parameter {
        only: &[],
        component: "event",
        location: ParameterLocation::Query,
        name: "event",
        about: "Filters by the name of the event.",
        schema: || {
            let known = EventName::ALL.map(EventName::as_str);
            json!({ "type": "string", "enum": known, "examples": ["session.deleted"] })
        },
    },
    Parameter {
        only: &[],
        component: "wait",
        location: ParameterLocation::Query,
        name: "wait",
        about: "Maximum time to wait for a code, in seconds.",
        schema: || json!({ "type": "integer", "minimum": 0, "maximum": 30, "default": 10, "examples": [20] }),
    },
    Parameter {
        only: &[],
        component: "link",
        location: ParameterLocation::Path,
        name: "link",
        about: "The `id` of a share link. A text that is not an id is not found.",
        schema: || json!({ "type": "string", "minLength": 1, "examples": ["lnk_01JGXS1DN00000000000000006"] }),
    },
    Parameter {
        only: &["link_state"],
        component: "linkWait",
        location: ParameterLocation::Query,
        name: "wait",
        about: "Maximum time to wait for another version than `version`, in seconds.",
        schema: || json!({ "type": "integer", "minimum": 0, "maximum": 30, "default": 0, "examples": [20] }),
    },
    Parameter {
        only: &["link_state"],
        component: "linkVersion",
        location: ParameterLocation::Query,
        name: "version",
        about: "The `version` of an earlier response.",
        schema: || json!({ "type": "string", "pattern": "^[0-9]{1,19}$", "examples": ["7"] }),
    },
    Parameter {
        only: STREAMS,
        component: "streamSession",
        location: ParameterLocation::Query,
        name: "session",
        about: "Only events of this session. May be repeated, up to 100 times. A session that does not exist \
                for the caller has no events.",
        schema: || {
            let example = ["sess_01JGXS1DN00000000000000001"];
            json!({ "type": "array", "maxItems": MAX_FILTER_SESSIONS, "items": { "type": "string" }, "examples": [example] })
        },
    },
    Parameter {
        only: STREAMS,
        component: "streamEvent",
        location: ParameterLocation::Query,
        name: "event",
        about: "Only events of this kind: a name, `session.*` for the names that begin so, or `*`. May be \
                repeated, up to 32 times.",
        schema: || {
            let items = json!({ "type": "string", "enum": event_patterns() });
            json!({ "type": "array", "maxItems": MAX_EVENT_PATTERNS, "items": items, "examples": [["session.*", "auth.paired"]] })
        },
    },
    Parameter {
        only: STREAMS,
        component: "after",
        location: ParameterLocation::Query,
        name: "after",
        about: "Only events after this one: the id of an event, a bookmark (`cur_…`), or `earliest` for all \
                that remain.",
        schema: || {
            let pattern = format!("^({POSITION}|earliest)$");
            json!({ "type": "string", "pattern": pattern, "examples": ["evt_01JGXS1DN00000000000000003"] })
        },
    },
    Parameter {
        only: &["event_stream"],
        component: "eventWait",
        location: ParameterLocation::Query,
        name: "wait",
        about: "With `Accept: application/json`: maximum time to wait for an event, in seconds.",
        schema: || json!({ "type": "integer", "minimum": 0, "maximum": 30, "default": 0, "examples": [20] }),
    },
    Parameter {
        only: &["realtime"],
        component: "bookmarks",
        location: ParameterLocation::Query,
        name: "bookmarks",
        about: "Whether bookmarks are sent.",
        schema: || json!({ "type": "boolean", "default": false, "examples": [true] }),
    },
    Parameter {
        only: &["event_stream"],
        component: "Last-Event-ID",
        location: ParameterLocation::Header,
        name: "Last-Event-ID",
        about: "As `after`, which it precedes. Browsers send the last `id` of the stream when they reconnect.",
        schema: || {
            let pattern = format!("^({POSITION})?$");
            json!({ "type": "string", "pattern": pattern, "examples": ["evt_01JGXS1DN00000000000000003"] })
        },
    },
    Parameter {
        only: &[],
        component: "Idempotency-Key",
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
        only: &[],
        component: "If-Match",
        location: ParameterLocation::Header,
        name: "If-Match",
        about: "Performs the request only if the entity tag of the object is in the list; `*` matches every \
                tag. Weak tags never match.",
        schema: || json!({ "type": "string", "pattern": ENTITY_TAGS_PATTERN, "examples": ["\"7\""] }),
    },
    Parameter {
        only: &[],
        component: "If-None-Match",
        location: ParameterLocation::Header,
        name: "If-None-Match",
        about: "Returns 304 without a body if the entity tag of the object is in the list.",
        schema: || json!({ "type": "string", "examples": ["\"7\""] }),
    },
    Parameter {
        only: &[],
        component: "X-Request-Id",
        location: ParameterLocation::Header,
        name: "X-Request-Id",
        about: "The id of this request in the access log. A value other than 1–128 visible ASCII \
                characters is replaced by a new id.",
        schema: || json!({ "type": "string", "examples": ["my-request-1"] }),
    },
];
