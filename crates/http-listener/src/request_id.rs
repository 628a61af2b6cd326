//! The id of a request, in every response and every line of the access log: the id that the caller
//! sent, or a new one.

use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};
use ulid::{ULID_LEN, Ulid};

/// The header that carries the id.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 128;

/// The id of a request: 1 to 128 visible ASCII characters.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Returns the caller's id if the request has exactly one valid `X-Request-Id`, else a new id
    /// of the bits that `new_bits` returns.
    pub(crate) fn from_headers(headers: &HeaderMap, new_bits: impl FnOnce() -> u128) -> Self {
        let mut given = headers.get_all(X_REQUEST_ID).iter();
        match (given.next(), given.next()) {
            (Some(id), None) if is_acceptable(id) => Self(id.clone()),
            _ => Self::from_bits(new_bits()),
        }
    }

    /// Returns the id `req_` with the bits as a ULID.
    pub(crate) fn from_bits(bits: u128) -> Self {
        let mut text = *b"req_01234567890123456789012345";
        let (_, id) = text.split_at_mut(4);
        let mut digits = [0; ULID_LEN];
        Ulid(bits).array_to_str(&mut digits);
        id.copy_from_slice(&digits);
        Self(HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("req_")))
    }

    pub(crate) fn value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

fn is_acceptable(id: &HeaderValue) -> bool {
    (1..=MAX_LENGTH).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}
