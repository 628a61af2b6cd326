//! The input of an operation: query, body and conditional headers.

use bytes::Bytes;
use http_listener::{NoPermit, Permit, RequestBody};
use hyper::{Method, http::request::Parts};

use crate::{
    idempotency::IdempotencyKey,
    request::{
        conditions::IfMatch,
        fields::Fields,
        media_type::{self, FORM, JSON, MERGE_PATCH},
        query::Query,
    },
    response::{
        problem::{Problem, Result},
        violation::Violation,
    },
};

/// The body that an operation accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestBodySpec {
    /// No body. A body is not read.
    Ignored,
    /// No body, or an empty JSON object.
    Empty,
    /// A JSON object. No body counts as an empty object.
    Json,
    /// A JSON merge patch (RFC 7396), with the media type of a merge patch or of JSON.
    Patch,
    /// The fields of a form, as `application/x-www-form-urlencoded`. No body counts as an empty form.
    Form,
}

/// The part of an operation that decides how its input is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InputSpec<'a> {
    pub(crate) method: &'a Method,
    /// The query parameters that the operation accepts; `None` ignores the query.
    pub(crate) query: Option<&'a [&'a str]>,
    pub(crate) body: RequestBodySpec,
    /// Maximum size of the body in bytes; `None` for the limit of the listener.
    pub(crate) body_limit: Option<usize>,
    /// Whether an `Idempotency-Key` has an effect; the header is ignored otherwise.
    pub(crate) takes_idempotency_key: bool,
    /// Whether faults are reported before the handler runs, because the handler reads no input.
    pub(crate) is_checked_at_once: bool,
}

/// Query, body and conditional headers of a request.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) query: Query,
    pub(crate) body: Fields,
    pub(super) if_match: IfMatch,
    /// The idempotency key, with the body as the caller sent it.
    pub(super) idempotency_key: Option<(String, Bytes)>,
}

impl Input {
    /// Reads the input of a request. [`Input::finish`] reports faults inside query and body, all at
    /// once.
    ///
    /// # Errors
    /// The body cannot be read, has another media type, or there is no permit to wait for the body.
    pub(super) async fn read(
        spec: &InputSpec<'_>,
        head: &Parts,
        body: &mut RequestBody,
        permit: impl FnOnce() -> Result<Permit, NoPermit>,
    ) -> Result<Self> {
        let mut query = match spec.query {
            None => Query::default(),
            Some(names) => Query::parse(head.uri.query().unwrap_or_default(), names),
        };
        let if_match = read_if_match(spec.method, head, &mut query);
        let key = if spec.takes_idempotency_key {
            IdempotencyKey::read(&head.headers)
        } else {
            IdempotencyKey::Absent
        };
        if key == IdempotencyKey::Malformed {
            query.fault("Idempotency-Key", "must be 1 to 255 visible ASCII characters, once");
        }
        if let Some(limit) = spec.body_limit {
            body.set_limit(limit);
        }
        let text = match spec.body {
            RequestBodySpec::Ignored => Bytes::new(),
            RequestBodySpec::Empty | RequestBodySpec::Json => {
                media_type::read(body, &head.headers, &JSON, permit).await?
            }
            RequestBodySpec::Patch => {
                media_type::read(body, &head.headers, &MERGE_PATCH, permit).await?
            }
            RequestBodySpec::Form => media_type::read(body, &head.headers, &FORM, permit).await?,
        };
        let fields = match spec.body {
            RequestBodySpec::Form => Fields::parse_form(&text),
            _ => Fields::parse(&text),
        };
        let idempotency_key = match key {
            IdempotencyKey::Given(key) => Some((key, text)),
            IdempotencyKey::Absent | IdempotencyKey::Malformed => None,
        };
        let mut input = Self { query, body: fields, if_match, idempotency_key };
        if spec.is_checked_at_once {
            input.finish()?;
        }
        Ok(input)
    }

    /// Ends the reading of query and body.
    ///
    /// # Errors
    /// Every fault of query and body, unknown parameters and fields included.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let faults = self.take_faults();
        if faults.is_empty() { Ok(()) } else { Err(Problem::Invalid(faults)) }
    }

    /// Ends the reading of query and body, and returns their faults as [`Self::finish`].
    pub(crate) fn take_faults(&mut self) -> Vec<Violation> {
        let mut faults = std::mem::take(&mut self.query).finish();
        faults.extend(std::mem::take(&mut self.body).finish());
        faults
    }
}

/// Reads `If-Match`, which other methods than PATCH and DELETE ignore.
fn read_if_match(method: &Method, head: &Parts, query: &mut Query) -> IfMatch {
    if !matches!(*method, Method::PATCH | Method::DELETE) {
        return IfMatch::Any;
    }
    IfMatch::read(&head.headers).unwrap_or_else(|| {
        query.fault("If-Match", "must be * or a list of entity tags");
        IfMatch::Any
    })
}
