//! The reasons for which the listener answers a request in place of its handler.

use hyper::StatusCode;

/// The reason why the listener answers a request without its handler, or in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The request has no valid `Host` (RFC 9112, 3.2).
    InvalidHost {
        /// The requirement that the header does not meet.
        reason: &'static str,
    },
    /// hyper could not read the request line or the headers, and answers with this status.
    Unreadable {
        /// A status of class 4xx.
        status: StatusCode,
    },
    /// The request took longer than [`Limits::request_time`](crate::Limits).
    DeadlineExceeded,
    /// The task of the request was cancelled with its runtime.
    Aborted,
    /// The handler panicked.
    Panicked {
        /// The message of the panic.
        message: String,
    },
}

impl Rejection {
    /// Returns the usual status of a response to the rejection.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::InvalidHost { .. } => StatusCode::BAD_REQUEST,
            Self::Unreadable { status } => *status,
            Self::DeadlineExceeded | Self::Aborted => StatusCode::SERVICE_UNAVAILABLE,
            Self::Panicked { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
