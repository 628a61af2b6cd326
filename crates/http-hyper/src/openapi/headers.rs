//! The headers of answers.

use serde_json::{Map, Value, json};

/// A header that answers can have.
struct Header {
    /// In lower case, as it travels.
    name: &'static str,
    /// Its usual spelling, and how components are called.
    shown: &'static str,
    about: &'static str,
    /// On every answer that is said to have it.
    always: bool,
    schema: fn() -> Value,
    example: &'static str,
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn seconds() -> Value {
    json!({ "type": "integer", "minimum": 1 })
}

static HEADERS: [Header; 9] = [
    Header {
        name: "x-request-id",
        shown: "X-Request-Id",
        about: "The request's name in our log: yours, when it is 1–128 visible ASCII characters, else \
                a new one.",
        always: true,
        schema: || json!({ "type": "string", "minLength": 1, "maxLength": 128 }),
        example: "req_01JGXS1DN00000000000000009",
    },
    Header {
        name: "etag",
        shown: "ETag",
        about: "A strong entity tag: two answers with the same one are the same bytes.",
        always: true,
        schema: || json!({ "type": "string", "pattern": "^\"[!#-~]*\"$" }),
        example: "\"7\"",
    },
    Header {
        name: "location",
        shown: "Location",
        about: "The path of what was made.",
        always: true,
        schema: || json!({ "type": "string", "format": "uri-reference" }),
        example: "/api/v1/sessions/sess_01JGXS1DN00000000000000001",
    },
    Header {
        name: "retry-after",
        shown: "Retry-After",
        about: "So many seconds until it makes sense to ask again.",
        always: false,
        schema: seconds,
        example: "2",
    },
    Header {
        name: "www-authenticate",
        shown: "WWW-Authenticate",
        about: "How to say who is asking.",
        always: true,
        schema: text,
        example: "Bearer",
    },
    Header {
        name: "vary",
        shown: "Vary",
        about: "The request header by which the answer differs.",
        always: true,
        schema: text,
        example: "accept",
    },
    Header {
        name: "ratelimit",
        shown: "RateLimit",
        about: "Nothing is left of the quota that was hit, for so many seconds.",
        always: false,
        schema: text,
        example: "\"credential\";r=0;t=3",
    },
    Header {
        name: "ratelimit-policy",
        shown: "RateLimit-Policy",
        about: "The quota that was hit: so many in so many seconds.",
        always: false,
        schema: text,
        example: "\"credential\";q=6000;w=60",
    },
    Header {
        name: "idempotency-replayed",
        shown: "Idempotency-Replayed",
        about: "`true` when this is the answer that was kept for the request's `Idempotency-Key`; only \
                on a POST.",
        always: false,
        schema: || json!({ "type": "string", "enum": ["true"] }),
        example: "true",
    },
];

/// The headers of these names, by reference.
pub(super) fn of(names: impl IntoIterator<Item = impl AsRef<str>>) -> Value {
    let known = names.into_iter().filter_map(|name| {
        HEADERS.iter().find(|header| header.name == name.as_ref()).map(|header| header.shown)
    });
    let refs = known.map(|shown| {
        (shown.to_owned(), json!({ "$ref": format!("#/components/headers/{shown}") }))
    });
    Value::Object(refs.collect())
}

/// All of them, in full.
pub(super) fn components() -> Value {
    let all = HEADERS.iter().map(|header| {
        let mut schema = (header.schema)();
        let whole = schema["type"] == "integer";
        let example = match header.example.parse::<u64>() {
            Ok(number) if whole => json!(number),
            _ => json!(header.example),
        };
        schema["examples"] = json!([example]);
        let about = header.about;
        (
            header.shown.to_owned(),
            json!({ "description": about, "required": header.always, "schema": schema }),
        )
    });
    Value::Object(all.collect::<Map<_, _>>())
}
