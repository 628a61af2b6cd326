//! The name of a request, on every answer and every log line: the caller's, so that it finds its own
//! way through our log, or a new one.

use domain::ports::Environment;
use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};
use ulid::{ULID_LEN, Ulid};

/// Where it travels.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 128;

/// A request's name: 1–128 visible ASCII characters.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The caller's, if it gave exactly one that will do, else a new one.
    pub(crate) fn from_headers(headers: &HeaderMap, environment: &dyn Environment) -> Self {
        let mut given = headers.get_all(X_REQUEST_ID).iter();
        match (given.next(), given.next()) {
            (Some(id), None) if is_acceptable(id) => Self(id.clone()),
            _ => Self::generate(environment),
        }
    }

    /// A new one.
    pub(crate) fn generate(environment: &dyn Environment) -> Self {
        let mut text = *b"req_01234567890123456789012345";
        let (_, id) = text.split_at_mut(4);
        let mut digits = [0; ULID_LEN];
        Ulid(environment.ulid()).array_to_str(&mut digits);
        id.copy_from_slice(&digits);
        Self(HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("req_")))
    }

    pub(crate) fn value(&self) -> HeaderValue {
        self.0.clone()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

fn is_acceptable(id: &HeaderValue) -> bool {
    (1..=MAX_LENGTH).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}
