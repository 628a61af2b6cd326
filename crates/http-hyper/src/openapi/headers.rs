//! The headers of responses.

use serde_json::{Map, Value, json};

/// A header of responses.
struct Header {
    /// The name in lower case, as sent.
    name: &'static str,
    /// The usual spelling, which is also the name of the component.
    shown: &'static str,
    about: &'static str,
    /// Whether every response that lists the header has it.
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

static HEADERS: [Header; 13] = [
    Header {
        name: "x-request-id",
        shown: "X-Request-Id",
        about: "The id of the request in the access log: the caller's id when it is 1–128 visible ASCII \
                characters, else a new id.",
        always: true,
        schema: || json!({ "type": "string", "minLength": 1, "maxLength": 128 }),
        example: "req_01JGXS1DN00000000000000009",
    },
    Header {
        name: "etag",
        shown: "ETag",
        about: "A strong entity tag: two responses with the same tag are the same bytes.",
        always: true,
        schema: || json!({ "type": "string", "pattern": "^\"[!#-~]*\"$" }),
        example: "\"7\"",
    },
    Header {
        name: "location",
        shown: "Location",
        about: "The path of the new object.",
        always: true,
        schema: || json!({ "type": "string", "format": "uri-reference" }),
        example: "/api/v1/sessions/sess_01JGXS1DN00000000000000001",
    },
    Header {
        name: "retry-after",
        shown: "Retry-After",
        about: "Seconds after which a repetition may succeed.",
        always: false,
        schema: seconds,
        example: "2",
    },
    Header {
        name: "www-authenticate",
        shown: "WWW-Authenticate",
        about: "The accepted authentication scheme.",
        always: true,
        schema: text,
        example: "Bearer",
    },
    Header {
        name: "set-cookie",
        shown: "Set-Cookie",
        about: "The cookie of the browser session, or its removal.",
        always: false,
        schema: text,
        example: "__Host-berth=…; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Strict",
    },
    Header {
        name: "vary",
        shown: "Vary",
        about: "The request header on which the response depends.",
        always: true,
        schema: text,
        example: "accept",
    },
    Header {
        name: "x-accel-buffering",
        shown: "X-Accel-Buffering",
        about: "`no` for a stream, which proxies must pass on part by part.",
        always: false,
        schema: || json!({ "type": "string", "enum": ["no"] }),
        example: "no",
    },
    Header {
        name: "upgrade",
        shown: "Upgrade",
        about: "The protocol of the connection from now on.",
        always: true,
        schema: || json!({ "type": "string", "enum": ["websocket"] }),
        example: "websocket",
    },
    Header {
        name: "sec-websocket-accept",
        shown: "Sec-WebSocket-Accept",
        about: "The answer to the key of the handshake (RFC 6455, 4.2.2).",
        always: true,
        schema: text,
        example: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    },
    Header {
        name: "ratelimit",
        shown: "RateLimit",
        about: "The exhausted quota, and the seconds until it refills.",
        always: false,
        schema: text,
        example: "\"credential\";r=0;t=3",
    },
    Header {
        name: "ratelimit-policy",
        shown: "RateLimit-Policy",
        about: "The exhausted quota: requests per window in seconds.",
        always: false,
        schema: text,
        example: "\"credential\";q=6000;w=60",
    },
    Header {
        name: "idempotency-replayed",
        shown: "Idempotency-Replayed",
        about: "`true` when this is the recorded response of the request's `Idempotency-Key`; only on a POST.",
        always: false,
        schema: || json!({ "type": "string", "enum": ["true"] }),
        example: "true",
    },
];

/// Returns references to the headers with these names.
pub(super) fn of(names: impl IntoIterator<Item = impl AsRef<str>>) -> Value {
    let known = names.into_iter().filter_map(|name| {
        HEADERS.iter().find(|header| header.name == name.as_ref()).map(|header| header.shown)
    });
    let refs = known.map(|shown| {
        (shown.to_owned(), json!({ "$ref": format!("#/components/headers/{shown}") }))
    });
    Value::Object(refs.collect())
}

/// Returns the descriptions of all headers.
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
