//! The errors of a client.

use std::time::Duration;

use hyper::StatusCode;

/// Boxed error of a lower layer, for the log.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Failure of an exchange.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The deadline passed before the response was complete. The server may have received the request.
    #[error("no complete response within {0:?}")]
    DeadlineExceeded(Duration),
    /// The response body exceeds [`Limits::response_bytes`](crate::Limits).
    #[error("response body exceeds {0} bytes")]
    ResponseTooLong(usize),
    /// The status is not 2xx. Only [`HttpClient::fetch`](crate::HttpClient::fetch) fails with this error.
    #[error("response status {0}")]
    Status(StatusCode),
    /// The connection, the TLS handshake or the transfer failed.
    #[error("the exchange failed")]
    Transport(#[source] BoxError),
}

/// TLS cannot be configured.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be configured")]
pub struct TlsError(#[from] rustls::Error);
