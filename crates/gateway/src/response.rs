//! The responses of the node's API.

use bytes::Bytes;
use gateway_protocol::{Refusal, RefusalCode};
use hyper::{
    Method, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE},
};
use serde::Serialize;

use crate::refusal::{http_status, refusal};

/// Returns the success response with a body.
pub(crate) fn json(body: &impl Serialize) -> Result<Response<Bytes>, Refusal> {
    let body = serde_json::to_vec(body)
        .map_err(|_| refusal(RefusalCode::Internal, "the answer cannot be serialized"))?;
    Ok(with_body(StatusCode::OK, body))
}

/// Returns the success response without a body.
pub(crate) fn no_content() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Returns the response for a refusal.
pub(crate) fn refused(refusal: &Refusal) -> Response<Bytes> {
    let body = serde_json::to_vec(refusal).unwrap_or_default();
    let mut response = with_body(http_status(refusal.code), body);
    if refusal.code == RefusalCode::Unauthorized {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Returns the response to a method that the path does not accept.
pub(crate) fn method_not_allowed<'a>(
    accepted: impl Iterator<Item = &'a Method>,
) -> Response<Bytes> {
    let mut response = refused(&refusal(RefusalCode::UnknownCall, "unknown method"));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let accepted = accepted.map(Method::as_str).collect::<Vec<_>>().join(", ");
    if let Ok(accepted) = HeaderValue::try_from(accepted) {
        response.headers_mut().insert(ALLOW, accepted);
    }
    response
}

fn with_body(status: StatusCode, body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
