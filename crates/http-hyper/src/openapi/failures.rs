//! The failures that follow from the fields of an operation, and failures that several operation
//! docs name.

use std::time::Duration;

use domain::{Error, EventId, NO_SEAL_KEY, RateQuota, Resource, ResourceLimitReached};
use hyper::{Method, StatusCode};

use super::failure::Failure;
use crate::{
    api::{IdempotencyMode, Operation, RequestBodySpec, Requires},
    response::problem::Problem,
    response::violation::Violation,
};

/// Returns the failures of an operation: those that follow from its fields, and those of its doc.
pub(crate) fn possible_failures(row: &Operation) -> Vec<&'static Failure> {
    let guarded = row.requires != Requires::Nothing;
    let is_of_holder = matches!(row.requires, Requires::Link | Requires::LinkSecret);
    let has_credential = guarded && !is_of_holder;
    let has_scope = !matches!(row.requires, Requires::Credential | Requires::Ticket);
    let is_of_browsers = row.path.starts_with("/auth/");
    let needs_permission = has_credential && has_scope && !is_of_browsers;
    let reads = row.body_spec != RequestBodySpec::Ignored;
    let repeatable = row.takes_idempotency_key();
    let records = repeatable && row.idempotency == IdempotencyMode::Recorded;
    let takes_if_match = matches!(row.method, Method::PATCH | Method::DELETE);
    let possible = [
        (!guarded, &UNREADABLE),
        (guarded || !row.query.is_empty(), &INVALID),
        (has_credential, &UNAUTHORIZED),
        (needs_permission, &FORBIDDEN),
        (is_of_holder, &NO_LINK_OF_BROWSER),
        (reads, &BODY_TOO_SLOW),
        (repeatable, &IDEMPOTENCY_KEY_CLASH),
        (records, &IDEMPOTENCY_KEY_IN_FLIGHT),
        (records, &IDEMPOTENCY_RECORDS_FULL),
        (guarded && takes_if_match && !is_of_browsers, &PRECONDITION_FAILED),
        (reads && row.body_limit.is_none(), &PAYLOAD_TOO_LARGE),
        (row.body_limit.is_some(), &MESSAGE_TOO_LARGE),
        (reads, &UNSUPPORTED_MEDIA_TYPE),
        (guarded || row.waits, &RATE_LIMITED),
        (true, &HEADERS_TOO_LARGE),
        (true, &INTERNAL),
        (true, &UNAVAILABLE),
    ];
    let derived = possible.into_iter().filter(|(so, _)| *so).map(|(_, failure)| failure);
    derived.chain(not_found_failures(row)).chain(row.doc.failures.iter().copied()).collect()
}

/// Returns the failures for missing objects of the path.
fn not_found_failures(row: &Operation) -> impl Iterator<Item = &'static Failure> {
    let things = [
        ("{session}", &SESSION_NOT_FOUND),
        ("{key}", &KEY_NOT_FOUND),
        ("{link}", &LINK_NOT_FOUND),
        ("{chat}", &CHAT_NOT_FOUND),
        ("{message}", &MESSAGE_NOT_FOUND),
        ("{webhook}", &WEBHOOK_NOT_FOUND),
        ("{deadLetter}", &DEAD_LETTER_NOT_FOUND),
    ];
    let missing = things.into_iter().filter(|(thing, _)| row.path.contains(thing));
    missing.map(|(_, failure)| failure)
}

static INVALID: Failure = Failure::new(
    "Invalid",
    "`validation_error`: the request is invalid. `details.fields` lists every fault: by a JSON pointer into \
     the body, or by the name of a parameter.",
    || {
        let fault = Violation::new("limit", "must be a whole number between 1 and 200");
        Problem::Invalid(vec![fault, Violation::new("/labell", "is unknown")])
    },
);

static UNREADABLE: Failure =
    Failure::new("Unreadable", "`validation_error`: the request is not valid HTTP.", || {
        Problem::Unreadable { status: StatusCode::BAD_REQUEST }
    });

static UNAUTHORIZED: Failure = Failure::new(
    "Unauthorized",
    "`unauthorized`: no credential, several credentials, or one that is not accepted. The response is the \
     same for every cause.",
    || Error::Unauthorized.into(),
);

static FORBIDDEN: Failure = Failure::new(
    "Forbidden",
    "`forbidden`: the caller lacks the permission. Decided before the body is read and before any lookup, \
     so that the response reveals nothing about either.",
    || Error::Forbidden.into(),
);

static SESSION_NOT_FOUND: Failure = Failure::new(
    "SessionNotFound",
    "`not_found`: no such session in your organization. The response is the same, byte for byte, for a \
     missing or deleted session, for one of another organization, and for one out of the reach of a key.",
    || Error::NotFound { noun: "session" }.into(),
);

static KEY_NOT_FOUND: Failure = Failure::new(
    "ApiKeyNotFound",
    "`not_found`: no such key in your organization. The response is the same, byte for byte, for a missing \
     or revoked key and for one of another organization.",
    || Error::NotFound { noun: "API key" }.into(),
);

static LINK_NOT_FOUND: Failure = Failure::new(
    "LinkNotFound",
    "`not_found`: the session has no such link. The response is the same, byte for byte, if the session does \
     not exist for the caller.",
    || Error::NotFound { noun: "link" }.into(),
);

static NO_LINK_OF_BROWSER: Failure = Failure::new(
    "NoLinkOfBrowser",
    "`not_found`: no such link in this browser. The response is the same, byte for byte, for an unknown, \
     expired, revoked or used link, for a link that another browser opened, and for a request of another \
     origin.",
    || Error::NotFound { noun: "link" }.into(),
);

static CHAT_NOT_FOUND: Failure =
    Failure::new("ChatNotFound", "`not_found`: the session has no such chat.", || {
        Error::NotFound { noun: "chat" }.into()
    });

static MESSAGE_NOT_FOUND: Failure = Failure::new(
    "MessageNotFound",
    "`not_found`: the session has no such message, or the message was removed.",
    || Error::NotFound { noun: "message" }.into(),
);

static WEBHOOK_NOT_FOUND: Failure = Failure::new(
    "WebhookNotFound",
    "`not_found`: no such webhook in your organization. The response is the same, byte for byte, for a \
     missing or deleted webhook and for one of another organization.",
    || Error::NotFound { noun: "webhook" }.into(),
);

static DEAD_LETTER_NOT_FOUND: Failure = Failure::new(
    "DeadLetterNotFound",
    "`not_found`: the webhook has no such dead letter or failing event.",
    || Error::NotFound { noun: "dead letter" }.into(),
);

pub(crate) static ORGANIZATION_NOT_FOUND: Failure = Failure::new(
    "OrganizationNotFound",
    "`not_found`: the login does not name the organization, whether or not the organization exists.",
    || Error::NotFound { noun: "organization" }.into(),
);

pub(crate) static ISSUER_NOT_FOUND: Failure =
    Failure::new("IssuerNotFound", "`not_found`: the operator has configured no issuer.", || {
        Error::NotFound { noun: "issuer" }.into()
    });

pub(crate) static LOGINS_LIMITED: Failure = Failure::new(
    "LoginsLimited",
    "`rate_limited`: 20 logins of the address of the peer were refused within a minute.",
    || {
        let window = Duration::from_secs(60);
        let rate_quota = RateQuota { name: "logins", count: 20, window };
        Error::RateLimited { rate_quota, retry_after: window }.into()
    },
);

static BODY_TOO_SLOW: Failure = Failure::new(
    "BodyTooSlow",
    "`request_timeout`: the body took longer than 10 s to arrive.",
    || Problem::BodyTooSlow,
);

static IDEMPOTENCY_KEY_CLASH: Failure = Failure::new(
    "IdempotencyKeyClash",
    "`conflict`: the `Idempotency-Key` was used for another request.",
    || Error::conflict("this idempotency key was used for another request").into(),
);

static IDEMPOTENCY_KEY_IN_FLIGHT: Failure = Failure::new(
    "IdempotencyKeyInFlight",
    "`conflict`: a request with this `Idempotency-Key` is in flight.",
    || {
        let message = "a request with this idempotency key is under way";
        Error::Conflict { message, retry_after: Some(Duration::from_secs(1)) }.into()
    },
);

static IDEMPOTENCY_RECORDS_FULL: Failure = Failure::new(
    "IdempotencyRecordsFull",
    "`conflict`: the request has an `Idempotency-Key`, and the recorded responses of the organization have \
     reached their quota. Nothing was changed.",
    || {
        Error::Full(ResourceLimitReached {
            resource: Resource::IdempotencyRecords,
            limit: MIB,
            used: MIB,
        })
        .into()
    },
);

const MIB: u64 = 1024 * 1024;

pub(crate) static SESSIONS_FULL: Failure = Failure::new(
    "SessionsFull",
    "`conflict`: the organization has reached its quota of sessions, which `details` states. Delete \
     sessions first.",
    || {
        Error::Full(ResourceLimitReached {
            resource: Resource::Sessions,
            limit: 20_000,
            used: 20_000,
        })
        .into()
    },
);

pub(crate) static METADATA_FULL: Failure = Failure::new(
    "MetadataFull",
    "`conflict`: the metadata of the organization's sessions would exceed its quota in bytes.",
    || {
        let (limit, used) = (64 * MIB, 64 * MIB - 3);
        Error::Full(ResourceLimitReached { resource: Resource::Metadata, limit, used }).into()
    },
);

pub(crate) static KEYS_FULL: Failure = Failure::new(
    "ApiKeysFull",
    "`conflict`: the organization has reached its quota of API keys. Revoke keys first.",
    || {
        Error::Full(ResourceLimitReached { resource: Resource::ApiKeys, limit: 1_000, used: 1_000 })
            .into()
    },
);

pub(crate) static WEBHOOKS_FULL: Failure = Failure::new(
    "WebhooksFull",
    "`conflict`: the organization has reached its quota of webhooks. Delete webhooks first.",
    || {
        Error::Full(ResourceLimitReached { resource: Resource::Webhooks, limit: 20, used: 20 })
            .into()
    },
);

pub(crate) static LINKS_FULL: Failure = Failure::new(
    "LinksFull",
    "`conflict`: the organization has reached its quota of share links. A link counts until an hour after its \
     end.",
    || {
        let (limit, used) = (1_000, 1_000);
        Error::Full(ResourceLimitReached { resource: Resource::ShareLinks, limit, used }).into()
    },
);

pub(crate) static NO_SEAL_KEY_FAILURE: Failure = Failure::new(
    "NoSealKey",
    "`conflict`: the webhook has a secret or a sensitive header, and the operator has not configured the \
     key that protects them.",
    || Error::conflict(NO_SEAL_KEY).into(),
);

pub(crate) static REPLAY_IN_PROGRESS: Failure = Failure::new(
    "ReplayInProgress",
    "`conflict`: another replay of the webhook is in progress.",
    || Error::conflict("a replay of this webhook is in progress").into(),
);

pub(crate) static UNPAIRED: Failure =
    Failure::new("Unpaired", "`conflict`: no phone is linked.", || Error::NotPaired.into());

pub(crate) static LOGGING_OUT: Failure =
    Failure::new("LoggingOut", "`conflict`: WhatsApp has not confirmed a logout yet.", || {
        let message = "the session is still being logged out";
        Error::Conflict { message, retry_after: Some(Duration::from_secs(2)) }.into()
    });

pub(crate) static TOO_MANY_PAIRINGS: Failure = Failure::new(
    "TooManyPairings",
    "`rate_limited`: too many pairing attempts in an hour, of this session, of this phone or of the \
     organization.",
    || {
        let quota = RateQuota { name: "pairing", count: 10, window: Duration::from_secs(3600) };
        Error::RateLimited { rate_quota: quota, retry_after: Duration::from_secs(1200) }.into()
    },
);

pub(crate) static GONE: Failure = Failure::new(
    "Gone",
    "`gone`: the position is not in the event feed of your organization, or no longer. The response is the \
     same for an event that was removed, that never existed, that is of another organization or that is \
     hidden from the caller. `details.oldest` is the oldest event that remains, or null.",
    || Error::Gone { oldest: EventId::parse("evt_01JGXS1DN00000000000000003") }.into(),
);

pub(crate) static TOO_MANY_STREAMS: Failure = Failure::new(
    "TooManyStreams",
    "`rate_limited`: the credential, the organization or the router has its maximum number of open streams.",
    || Problem::TooManyStreams,
);

static PRECONDITION_FAILED: Failure = Failure::new(
    "PreconditionFailed",
    "`precondition_failed`: the entity tag of the object is not in `If-Match`.",
    || Error::PreconditionFailed.into(),
);

static PAYLOAD_TOO_LARGE: Failure =
    Failure::new("PayloadTooLarge", "`payload_too_large`: a body over 64 kB.", || {
        Problem::PayloadTooLarge { limit: 64 * 1024 }
    });

/// Maximum size of a request to send a message. JSON may write each byte of a text as six.
pub(crate) const MAX_MESSAGE_BODY: usize = 512 * 1024;

static MESSAGE_TOO_LARGE: Failure =
    Failure::new("MessageTooLarge", "`payload_too_large`: a body over 512 kB.", || {
        Problem::PayloadTooLarge { limit: MAX_MESSAGE_BODY }
    });

static UNSUPPORTED_MEDIA_TYPE: Failure = Failure::new(
    "UnsupportedMediaType",
    "`unsupported_media_type`: the media type of the body is not JSON in UTF-8, or the body is compressed.",
    || Problem::UnsupportedMediaType { accepted: &crate::request::media_type::JSON },
);

static RATE_LIMITED: Failure = Failure::new(
    "RateLimited",
    "`rate_limited`: too many requests of this credential or organization.",
    || {
        let quota = RateQuota { name: "credential", count: 6000, window: Duration::from_secs(60) };
        Error::RateLimited { rate_quota: quota, retry_after: Duration::from_secs(3) }.into()
    },
);

static HEADERS_TOO_LARGE: Failure = Failure::new(
    "HeadersTooLarge",
    "`headers_too_large`: a request line and headers over 16 kB, or more than 100 headers. Over \
     HTTP/2 the response has no body.",
    || Problem::Unreadable { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE },
);

static INTERNAL: Failure = Failure::new(
    "Internal",
    "`internal`: a failure of the server; its log has the cause under the request id.",
    || Problem::internal("never shown"),
);

static UNAVAILABLE: Failure = Failure::new(
    "Unavailable",
    "`unavailable`: a dependency cannot be reached, or the server is overloaded. Nothing was changed, or an \
     accepted change will still be performed.",
    || Error::unavailable("never shown").into(),
);
