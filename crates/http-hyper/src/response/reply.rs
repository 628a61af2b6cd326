//! An answer before it meets the wire, and the headers that every answer carries.

use bytes::Bytes;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use serde::Serialize;

use crate::{
    listener::request_id::{RequestId, X_REQUEST_ID},
    response::problem::{Problem, Result},
};

/// On every answer, also those to requests nobody could read. Answers are never pages, and never
/// anybody else's: no browser may guess a type, run a script in one, frame it, or keep it. Only the
/// API's own document and the page that shows it have other words in their place.
pub(crate) const DEFAULT_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// Most bodies fit in this, in bytes, and need not be moved while they grow.
const TYPICAL_BODY_BYTES: usize = 1024;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// 204.
    pub(crate) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// 200 with this JSON.
    pub(crate) fn ok(view: &impl Serialize) -> Result<Self> {
        Self::json(StatusCode::OK, view)
    }

    /// 201 with this JSON; the new thing is at `location`.
    pub(crate) fn created(location: &str, view: &impl Serialize) -> Result<Self> {
        let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
        Ok(Self::json(StatusCode::CREATED, view)?.with(header::LOCATION, location))
    }

    /// This JSON.
    pub(crate) fn json(status: StatusCode, view: &impl Serialize) -> Result<Self> {
        let mut body = Vec::with_capacity(TYPICAL_BODY_BYTES);
        serde_json::to_writer(&mut body, view).map_err(Problem::internal)?;
        Ok(Self::of(status, "application/json", body))
    }

    /// Any content.
    pub(crate) fn of(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Self {
        // Room for all there may be: a map that grows is filled anew.
        let headers = HeaderMap::with_capacity(12);
        let reply = Self { status, headers, body: body.into() };
        reply.with(header::CONTENT_TYPE, HeaderValue::from_static(kind))
    }

    /// With this header besides.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With this entity tag.
    pub(crate) fn tagged(self, tag: HeaderValue) -> Self {
        self.with(header::ETAG, tag)
    }

    /// As hyper sends it. To a HEAD goes everything but the body.
    pub(crate) fn into_response(self, id: &RequestId, head_only: bool) -> Response<Bytes> {
        let length = HeaderValue::from(self.body.len());
        let body = if head_only { Bytes::new() } else { self.body };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let headers = response.headers_mut();
        let has_no_body = matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if head_only && !has_no_body {
            headers.insert(header::CONTENT_LENGTH, length);
        }
        for (name, value) in DEFAULT_HEADERS {
            headers.entry(name).or_insert(value);
        }
        headers.insert(X_REQUEST_ID, id.value());
        response
    }
}
