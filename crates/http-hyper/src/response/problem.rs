//! The errors of requests, and the responses that report them.
//!
//! The body is `{ "error": { "code", "message", "details" } }`, with `details` always an object.
//! The body never contains a cause; causes go to the access log.

use std::time::Duration;

use domain::{
    Error, EventId, MessageFailure, RateQuota, ResourceLimitReached, Timestamp, ports::BoxError,
};
use http_listener::{BodyError, NoPermit, Rejection};
use hyper::{
    StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{reply::Reply, violation::Violation};

pub(crate) type Result<T, E = Problem> = std::result::Result<T, E>;

/// The error that ends a request: an error of the domain, or an error of HTTP.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Domain(#[from] Error),
    /// The request is wrong by itself.
    #[error("the request is not valid")]
    Invalid(Vec<Violation>),
    #[error("no such endpoint")]
    NoRoute,
    #[error("this endpoint does not have this method")]
    MethodNotAllowed { allow: HeaderValue },
    #[error("the body took too long to arrive")]
    BodyTooSlow,
    #[error("the body is larger than this endpoint takes")]
    PayloadTooLarge { limit: usize },
    #[error("the body must be {} in UTF-8, not compressed", .accepted.join(" or "))]
    UnsupportedMediaType { accepted: &'static [&'static str] },
    /// hyper could not read the request line or the headers, and answers with this status.
    #[error("the request could not be read")]
    Unreadable { status: StatusCode },
    /// An accepted message was not sent.
    #[error("{}", .failure.reason.message())]
    NotSent { failure: MessageFailure, wa_message_id: String, outbox_id: Option<String> },
    #[error("temporarily unavailable")]
    DeadlineExceeded,
    #[error("temporarily unavailable")]
    Overloaded,
    #[error("too many requests of this credential or organization are under way")]
    PermitShareTaken,
    #[error("too many event streams of this credential, organization or server are open")]
    TooManyStreams,
    #[error("internal error")]
    Panicked(#[source] BoxError),
}

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const EMPTY: HeaderValue = HeaderValue::from_static("");

/// Maximum number of faults in one response. A body full of faults must not cause a larger
/// response.
const MAX_REPORTED_FAULTS: usize = 100;

impl Problem {
    /// Returns the problem of a failure of the server.
    pub(crate) fn internal(cause: impl Into<BoxError>) -> Self {
        Self::Domain(Error::Internal(cause.into()))
    }

    /// Returns the problem of a request with one fault.
    pub(crate) fn invalid(field: &str, reason: &str) -> Self {
        Self::Invalid(vec![Violation::new(field, reason)])
    }

    /// Returns the response that reports the problem.
    pub(crate) fn reply(&self) -> Reply {
        let ErrorResponse { status, code, details, retry_after, headers } = self.error_response();
        let error = ErrorView { code, details, message: &self.message() };
        let body = serde_json::to_string(&ErrorEnvelope { error }).unwrap_or_default();
        let mut reply = Reply::of(status, "application/json", body);
        if let Some(wait) = retry_after {
            reply = reply.with(header::RETRY_AFTER, HeaderValue::from(seconds_rounded_up(wait)));
        }
        for (name, value) in headers {
            reply = reply.with(name, value);
        }
        reply
    }

    /// The text for people. Where the domain states a fact, the API adds where to find the remedy.
    pub(crate) fn message(&self) -> String {
        let remedy = match self {
            Self::Domain(Error::NotPaired) => "link a phone by /qr or /pairing-code first",
            Self::Domain(Error::PairingEnded | Error::NoPairingCode) => {
                "the session's statusReason says why"
            }
            problem => return problem.to_string(),
        };
        format!("{self}; {remedy}")
    }

    /// Maps every problem to its status, code and details. There is no wildcard arm, so that each
    /// new variant is mapped deliberately.
    fn error_response(&self) -> ErrorResponse {
        use StatusCode as Status;
        match self {
            Self::Domain(error) => domain_error(error),
            Self::Invalid(faults) => invalid(faults),
            Self::NoRoute => ErrorResponse::new(Status::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed { allow } => {
                ErrorResponse::new(Status::METHOD_NOT_ALLOWED, "method_not_allowed")
                    .header(header::ALLOW, allow.clone())
            }
            Self::BodyTooSlow => ErrorResponse::new(Status::REQUEST_TIMEOUT, "request_timeout"),
            Self::PayloadTooLarge { limit } => {
                ErrorResponse::new(Status::PAYLOAD_TOO_LARGE, "payload_too_large")
                    .detail("maxBytes", json!(limit))
            }
            Self::UnsupportedMediaType { accepted: _ } => {
                ErrorResponse::new(Status::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            Self::Unreadable { status } => ErrorResponse::new(*status, unreadable_code(*status)),
            Self::NotSent { failure, wa_message_id, outbox_id } => undeliverable(failure)
                .detail("waMessageId", json!(wa_message_id))
                .detail("outboxId", json!(outbox_id)),
            Self::DeadlineExceeded | Self::Overloaded => {
                ErrorResponse::new(Status::SERVICE_UNAVAILABLE, "unavailable")
                    .after(DEFAULT_RETRY_AFTER)
            }
            Self::PermitShareTaken => ErrorResponse::new(Status::TOO_MANY_REQUESTS, "rate_limited")
                .after(DEFAULT_RETRY_AFTER),
            Self::TooManyStreams => ErrorResponse::new(Status::TOO_MANY_REQUESTS, "rate_limited")
                .after(STREAM_RETRY_AFTER),
            Self::Panicked(_) => ErrorResponse::new(Status::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl From<NoPermit> for Problem {
    fn from(error: NoPermit) -> Self {
        match error {
            NoPermit::ShareTaken => Self::PermitShareTaken,
            NoPermit::AllTaken => Self::Overloaded,
        }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { limit } => Self::PayloadTooLarge { limit },
            BodyError::TooSlow => Self::BodyTooSlow,
            BodyError::Incomplete => Self::invalid("", "the body ended early"),
            BodyError::NoPermit(error) => error.into(),
        }
    }
}

impl From<&Rejection> for Problem {
    fn from(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::InvalidHost { reason } => Self::invalid("Host", reason),
            Rejection::Unreadable { status } => Self::Unreadable { status: *status },
            Rejection::DeadlineExceeded => Self::DeadlineExceeded,
            Rejection::Aborted => Self::Overloaded,
            Rejection::Panicked { message } => Self::Panicked(format!("panic: {message}").into()),
        }
    }
}

/// `Retry-After` of an unavailable response without a better estimate.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(2);

/// `Retry-After` when too many streams are open, which last for long.
const STREAM_RETRY_AFTER: Duration = Duration::from_secs(10);

fn domain_error(error: &Error) -> ErrorResponse {
    use StatusCode as Status;
    match error {
        Error::Validation(faults) => {
            let faults: Vec<_> = faults.iter().cloned().map(Violation::from).collect();
            invalid(&faults)
        }
        Error::Unauthorized => ErrorResponse::new(Status::UNAUTHORIZED, "unauthorized")
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        Error::Forbidden => ErrorResponse::new(Status::FORBIDDEN, "forbidden"),
        Error::NotFound { noun: _ } => ErrorResponse::new(Status::NOT_FOUND, "not_found"),
        Error::NotYet { noun: _, retry_after } => {
            ErrorResponse::new(Status::NOT_FOUND, "not_found").after(*retry_after)
        }
        Error::Conflict { message: _, retry_after } => {
            let error_response = ErrorResponse::new(Status::CONFLICT, "conflict");
            ErrorResponse { retry_after: *retry_after, ..error_response }
        }
        Error::NotPaired | Error::PairingEnded | Error::NoPairingCode => {
            ErrorResponse::new(Status::CONFLICT, "conflict")
        }
        Error::Full(ResourceLimitReached { resource: stock, limit, used }) => {
            ErrorResponse::new(Status::CONFLICT, "conflict")
                .detail("quota", json!(stock.as_str()))
                .detail("limit", json!(limit))
                .detail("used", json!(used))
        }
        Error::Gone { oldest } => ErrorResponse::new(Status::GONE, "gone")
            .detail("oldest", json!(oldest.as_ref().map(EventId::as_str))),
        Error::PreconditionFailed => {
            ErrorResponse::new(Status::PRECONDITION_FAILED, "precondition_failed")
        }
        Error::RateLimited { rate_quota: quota, retry_after } => {
            let error_response = ErrorResponse::new(Status::TOO_MANY_REQUESTS, "rate_limited");
            error_response.after(*retry_after).quota(quota, *retry_after)
        }
        Error::Undeliverable(failure) => undeliverable(failure),
        Error::NotImplemented => ErrorResponse::new(Status::NOT_IMPLEMENTED, "not_implemented"),
        Error::Unavailable { retry_after, source: _ } => {
            ErrorResponse::new(Status::SERVICE_UNAVAILABLE, "unavailable").after(*retry_after)
        }
        Error::Internal(_) => ErrorResponse::new(Status::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn undeliverable(failure: &MessageFailure) -> ErrorResponse {
    ErrorResponse::new(StatusCode::UNPROCESSABLE_ENTITY, "undeliverable")
        .detail("reason", json!(failure.reason.as_str()))
        .detail("waCode", json!(failure.code))
        .detail("retryAt", json!(failure.retry_at.map(Timestamp::millis)))
}

fn invalid(faults: &[Violation]) -> ErrorResponse {
    ErrorResponse::new(StatusCode::BAD_REQUEST, "validation_error").faults(faults)
}

fn unreadable_code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG => {
            "headers_too_large"
        }
        _ => "validation_error",
    }
}

#[derive(Serialize)]
struct ErrorEnvelope<'a> {
    error: ErrorView<'a>,
}

#[derive(Serialize)]
struct ErrorView<'a> {
    code: &'static str,
    details: Map<String, Value>,
    message: &'a str,
}

struct ErrorResponse {
    status: StatusCode,
    code: &'static str,
    details: Map<String, Value>,
    retry_after: Option<Duration>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ErrorResponse {
    fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code, details: Map::new(), retry_after: None, headers: Vec::new() }
    }

    fn after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds the headers of the IETF draft `RateLimit header fields for HTTP`: the quota, and the
    /// seconds for which it is used up.
    fn quota(self, quota: &RateQuota, wait: Duration) -> Self {
        let RateQuota { name, count, window } = quota;
        let (window, wait) = (window.as_secs(), seconds_rounded_up(wait));
        let value = |text: String| HeaderValue::try_from(text).unwrap_or(EMPTY);
        self.header(RATE_LIMIT_POLICY, value(format!("\"{name}\";q={count};w={window}")))
            .header(RATE_LIMIT, value(format!("\"{name}\";r=0;t={wait}")))
    }

    fn detail(mut self, name: &str, value: Value) -> Self {
        self.details.insert(name.to_owned(), value);
        self
    }

    fn faults(self, faults: &[Violation]) -> Self {
        let fields: Vec<_> = faults.iter().take(MAX_REPORTED_FAULTS).map(fault).collect();
        let error_response = self.detail("fields", Value::Array(fields));
        match faults.len().saturating_sub(MAX_REPORTED_FAULTS) {
            0 => error_response,
            more => error_response.detail("omitted", json!(more)),
        }
    }
}

/// Returns a fault as JSON. A JSON pointer names a position in the body, `""` the whole body; every
/// other name is a query parameter or header.
fn fault(Violation { field, reason }: &Violation) -> Value {
    let kind = if field.is_empty() || field.starts_with('/') { "pointer" } else { "parameter" };
    json!({ kind: field, "reason": reason })
}

/// Returns whole seconds, rounded up so that a caller does not retry too early.
fn seconds_rounded_up(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}
