//! The outcome of an attempt.

use std::{fmt, time::Duration};

use bytes::Bytes;
use hyper::StatusCode;

/// The class of an outcome, which the owner of a webhook sees. Statuses from 200 to 299 alone are a
/// success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutcomeClass {
    /// A status from 200 to 299.
    Success,
    /// A status from 300 to 399. Redirects are not followed.
    Redirect,
    /// A status from 400 to 499 except 429.
    ClientError,
    /// Status 429.
    TooManyRequests,
    /// A status from 500 to 599.
    ServerError,
    /// No complete response head in time.
    Timeout,
    /// The name has no address, or no name server answered.
    Dns,
    /// An address of the destination is not allowed.
    Blocked,
    /// No TCP connection could be opened.
    Connect,
    /// The TLS handshake failed, or TLS failed later.
    Tls,
    /// The connection ended before the response head was complete.
    Reset,
    /// The response is no valid HTTP/1.1 response, or its head is too large.
    Malformed,
}

impl OutcomeClass {
    /// Every class.
    pub const ALL: [Self; 12] = [
        Self::Success,
        Self::Redirect,
        Self::ClientError,
        Self::TooManyRequests,
        Self::ServerError,
        Self::Timeout,
        Self::Dns,
        Self::Blocked,
        Self::Connect,
        Self::Tls,
        Self::Reset,
        Self::Malformed,
    ];

    /// Returns the stored and published name of the class.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "2xx",
            Self::Redirect => "3xx",
            Self::ClientError => "4xx",
            Self::TooManyRequests => "429",
            Self::ServerError => "5xx",
            Self::Timeout => "timeout",
            Self::Dns => "dns",
            Self::Blocked => "blocked",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::Malformed => "malformed",
        }
    }

    /// Returns the class of a final response. Status 101 is malformed, because no request asks for
    /// another protocol.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Self::Success,
            300..=399 => Self::Redirect,
            429 => Self::TooManyRequests,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            _ => Self::Malformed,
        }
    }
}

impl fmt::Display for OutcomeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The result of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The class, for the owner of the webhook.
    pub class: OutcomeClass,
    /// The status of the response; absent when no valid response head arrived.
    pub status: Option<u16>,
    /// The delay that the receiver asks for, at most
    /// [`Limits::retry_after`](crate::Limits::retry_after). Absent when the header is missing,
    /// repeated or invalid.
    pub retry_after: Option<Duration>,
    /// The beginning of the response body, not decompressed; absent for receivers that are
    /// reachable only because the operator allows a private address, so that a webhook cannot
    /// read from the internal network.
    pub excerpt: Option<Bytes>,
    /// Time from the start of the attempt to the response head or to the failure.
    pub duration: Duration,
    /// The cause of a failure without a status, for the operator: the text may name internal
    /// addresses.
    pub cause: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_determines_the_class() {
        for (status, class) in [
            (101, "malformed"),
            (200, "2xx"),
            (299, "2xx"),
            (300, "3xx"),
            (399, "3xx"),
            (400, "4xx"),
            (410, "4xx"),
            (428, "4xx"),
            (429, "429"),
            (430, "4xx"),
            (499, "4xx"),
            (500, "5xx"),
            (599, "5xx"),
            (600, "malformed"),
            (999, "malformed"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(OutcomeClass::of_status(status).as_str(), class, "{status}");
        }
    }

    #[test]
    fn class_names_are_distinct() {
        let names: std::collections::HashSet<_> =
            OutcomeClass::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), OutcomeClass::ALL.len());
    }
}
