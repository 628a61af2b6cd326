//! The response of a handler before the listener sends it, with the headers that every response
//! carries.

use bytes::Bytes;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

/// Headers of every response, also to unreadable requests. Browsers must not guess a type, run a
/// script, frame the response or cache it. Only the OpenAPI document, its page and the dashboard
/// override these headers.
const DEFAULT_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// Returns a 204 response.
    pub(crate) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Returns a response with any content.
    pub(crate) fn of(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Self {
        // Room for all headers: a map that grows is rebuilt.
        let headers = HeaderMap::with_capacity(12);
        let reply = Self { status, headers, body: body.into() };
        reply.with(header::CONTENT_TYPE, HeaderValue::from_static(kind))
    }

    /// Sets a header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the entity tag.
    pub(crate) fn tagged(self, tag: HeaderValue) -> Self {
        self.with(header::ETAG, tag)
    }

    /// Returns the response for the listener, with the default headers.
    pub(crate) fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        for (name, value) in DEFAULT_HEADERS {
            response.headers_mut().entry(name).or_insert(value);
        }
        response
    }
}
