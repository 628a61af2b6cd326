//! How operations end badly. What every row of a kind can give is derived from the row; its example
//! is what [`Problem`] really answers, so that the two cannot differ.

use std::time::Duration;

use domain::{Error, RateQuota, Resource, ResourceLimitReached, Violation};
use hyper::{Method, StatusCode};
use serde_json::Value;

use crate::{
    api::{Operation, RequestBodySpec, Requires},
    response::problem::Problem,
};

/// One way to end badly.
pub(crate) struct Failure {
    /// Its name among the document's components and examples.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    problem: fn() -> Problem,
}

impl Failure {
    pub(crate) const fn new(
        name: &'static str,
        about: &'static str,
        problem: fn() -> Problem,
    ) -> Self {
        Self { name, about, problem }
    }

    pub(crate) fn status(&self) -> u16 {
        (self.problem)().reply().status.as_u16()
    }

    /// What a caller reads.
    pub(crate) fn example(&self) -> Value {
        serde_json::from_slice(&(self.problem)().reply().body).unwrap_or_default()
    }

    /// The headers it has by itself.
    pub(crate) fn headers(&self) -> Vec<String> {
        let reply = (self.problem)().reply();
        let names = reply.headers.keys().filter(|name| *name != "content-type");
        names.map(ToString::to_string).collect()
    }
}

/// What any row like this one can give.
pub(crate) fn possible_failures(row: &Operation) -> Vec<&'static Failure> {
    let guarded = row.requires != Requires::Nothing;
    let reads = row.body_spec != RequestBodySpec::Ignored;
    let is_post = row.method == Method::POST;
    let takes_if_match = matches!(row.method, Method::PATCH | Method::DELETE);
    let possible = [
        (!guarded, &UNREADABLE),
        (guarded, &INVALID),
        (guarded, &UNAUTHORIZED),
        (guarded, &FORBIDDEN),
        (reads, &BODY_TOO_SLOW),
        (guarded && is_post, &IDEMPOTENCY_KEY_CLASH),
        (guarded && is_post, &IDEMPOTENCY_KEY_IN_FLIGHT),
        (guarded && is_post, &IDEMPOTENCY_RECORDS_FULL),
        (guarded && takes_if_match, &PRECONDITION_FAILED),
        (reads, &PAYLOAD_TOO_LARGE),
        (reads, &UNSUPPORTED_MEDIA_TYPE),
        (guarded, &RATE_LIMITED),
        (true, &HEADERS_TOO_LARGE),
        (true, &INTERNAL),
        (true, &UNAVAILABLE),
    ];
    let derived = possible.into_iter().filter(|(so, _)| *so).map(|(_, failure)| failure);
    derived.chain(not_found_failure(row)).chain(row.doc.failures.iter().copied()).collect()
}

/// Not found, in the words for what the row is about.
fn not_found_failure(row: &Operation) -> Option<&'static Failure> {
    let things = [("{session}", &SESSION_NOT_FOUND), ("{key}", &KEY_NOT_FOUND)];
    things.into_iter().find(|(thing, _)| row.path.contains(thing)).map(|(_, failure)| failure)
}

static INVALID: Failure = Failure::new(
    "Invalid",
    "`validation_error`: the request is wrong by itself. `details.fields` names every fault at once: \
     by a JSON pointer into the body, or by the parameter's name.",
    || {
        let fault = Violation::new("limit", "must be a whole number between 1 and 200");
        Error::Validation(vec![fault, Violation::new("/labell", "is unknown")]).into()
    },
);

static UNREADABLE: Failure =
    Failure::new("Unreadable", "`validation_error`: this is no HTTP request.", || {
        Problem::Unreadable { status: StatusCode::BAD_REQUEST }
    });

static UNAUTHORIZED: Failure = Failure::new(
    "Unauthorized",
    "`unauthorized`: no credential, more than one, or one that is not accepted. One answer for every \
     cause.",
    || Error::Unauthorized.into(),
);

static FORBIDDEN: Failure = Failure::new(
    "Forbidden",
    "`forbidden`: the caller lacks the capability. Decided before the body is read and anything is \
     looked up, so it says nothing of either.",
    || Error::Forbidden.into(),
);

static SESSION_NOT_FOUND: Failure = Failure::new(
    "SessionNotFound",
    "`not_found`: no such session in your organization. Missing, deleted, another organization's, \
     and beyond a key's sessions are one answer, byte for byte.",
    || Error::NotFound { noun: "session" }.into(),
);

static KEY_NOT_FOUND: Failure = Failure::new(
    "ApiKeyNotFound",
    "`not_found`: no such key in your organization. Missing, revoked and another organization's are \
     one answer, byte for byte.",
    || Error::NotFound { noun: "API key" }.into(),
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
    "`conflict`: a request with this `Idempotency-Key` is under way.",
    || {
        let message = "a request with this idempotency key is under way";
        Error::Conflict { message, retry_after: Some(Duration::from_secs(1)) }.into()
    },
);

static IDEMPOTENCY_RECORDS_FULL: Failure = Failure::new(
    "IdempotencyRecordsFull",
    "`conflict`: sent with an `Idempotency-Key`, and the responses recorded for the organization take as \
     much room as they may. Nothing was changed.",
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
    "`conflict`: the organization has as many sessions as it may have. `details` says how many: delete some \
     first.",
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
    "`conflict`: the metadata of the organization's sessions, in bytes, would take more room than it may.",
    || {
        let (limit, used) = (64 * MIB, 64 * MIB - 3);
        Error::Full(ResourceLimitReached { resource: Resource::Metadata, limit, used }).into()
    },
);

pub(crate) static KEYS_FULL: Failure = Failure::new(
    "ApiKeysFull",
    "`conflict`: the organization has as many API keys as it may have: revoke some first.",
    || {
        Error::Full(ResourceLimitReached { resource: Resource::ApiKeys, limit: 1_000, used: 1_000 })
            .into()
    },
);

static PRECONDITION_FAILED: Failure = Failure::new(
    "PreconditionFailed",
    "`precondition_failed`: it is not, or no longer, what `If-Match` says.",
    || Error::PreconditionFailed.into(),
);

static PAYLOAD_TOO_LARGE: Failure =
    Failure::new("PayloadTooLarge", "`payload_too_large`: a body over 64 kB.", || {
        Problem::PayloadTooLarge { limit: 64 * 1024 }
    });

static UNSUPPORTED_MEDIA_TYPE: Failure = Failure::new(
    "UnsupportedMediaType",
    "`unsupported_media_type`: a body that is not said to be JSON in UTF-8, or is compressed.",
    || Problem::UnsupportedMediaType { accepted: &crate::listener::request_body::JSON },
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
     HTTP/2 it comes without a body.",
    || Problem::Unreadable { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE },
);

static INTERNAL: Failure = Failure::new(
    "Internal",
    "`internal`: our fault; our log has the cause under the request id.",
    || Problem::internal("never shown"),
);

static UNAVAILABLE: Failure = Failure::new(
    "Unavailable",
    "`unavailable`: something needed cannot be reached now, or there is too much to do. Nothing was \
     changed, or what was accepted will still be done.",
    || Error::unavailable("never shown").into(),
);
