//! The outcome of an attempt.

use std::time::Duration;

use bytes::Bytes;
use domain::OutcomeClass;
use hyper::StatusCode;

/// Returns the class of a final response. Status 101 is malformed, because no request asks for another
/// protocol.
pub(crate) fn class_of_status(status: StatusCode) -> OutcomeClass {
    match status.as_u16() {
        200..=299 => OutcomeClass::Success,
        300..=399 => OutcomeClass::Redirect,
        429 => OutcomeClass::TooManyRequests,
        400..=499 => OutcomeClass::ClientError,
        500..=599 => OutcomeClass::ServerError,
        _ => OutcomeClass::Malformed,
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
            assert_eq!(class_of_status(status).as_str(), class, "{status}");
        }
    }
}
