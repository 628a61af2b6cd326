//! Responses to requests that hyper cannot read, as HTTP/1.1 text.
//!
//! hyper answers such a request (headers too large, a path that is not text) with a bare status.
//! The listener replaces that text by a response of the handler.

use bytes::Bytes;
use hyper::{Response, StatusCode};

use crate::request_id::{RequestId, X_REQUEST_ID};

/// Returns the status of a response that hyper made itself: a head without body and without the
/// request id that every response of a handler carries. `text` is one write of hyper. No other
/// write consists of an HTTP head with a length of 0 alone: the rest of a chunked body, which may
/// begin with any text, has no such header.
pub(crate) fn status_of_bare_response(text: &[u8]) -> Option<StatusCode> {
    let made_by_hyper = text.starts_with(b"HTTP/1.1 4") || text.starts_with(b"HTTP/1.0 4");
    if !made_by_hyper || !text.ends_with(b"\r\n\r\n") {
        return None;
    }
    let has = |line: &[u8]| text.windows(line.len()).any(|part| part.eq_ignore_ascii_case(line));
    let is_bare = has(b"\r\ncontent-length: 0\r\n") && !has(b"\r\nx-request-id");
    if is_bare { StatusCode::from_bytes(text.get(9..12)?).ok() } else { None }
}

/// Returns `response` as the text of an HTTP/1.1 response that closes the connection.
pub(crate) fn render(mut response: Response<Bytes>, id: &RequestId) -> Vec<u8> {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut text = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    response.headers_mut().insert(X_REQUEST_ID, id.value());
    for (name, value) in response.headers() {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    let length = response.body().len();
    text.extend(format!("connection: close\r\ncontent-length: {length}\r\n\r\n").bytes());
    text.extend_from_slice(response.body());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_responses_made_by_hyper_are_replaced() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
        let status = Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        assert_eq!(status_of_bare_response(bare), status);
        let by_handler = b"HTTP/1.1 404 Not Found\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(status_of_bare_response(by_handler), None);
        assert_eq!(status_of_bare_response(b"HTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(status_of_bare_response(b"{\"label\":\"HTTP/1.1 431\"}"), None);
        assert_eq!(status_of_bare_response(b""), None);
        let rest_of_a_stream = b"HTTP/1.1 404 in a label\"}\n\n\r\n0\r\n\r\n";
        assert_eq!(status_of_bare_response(rest_of_a_stream), None);
    }
}
