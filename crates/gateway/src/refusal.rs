//! Refusals of calls, with their messages and HTTP statuses.

use gateway_protocol::{Refusal, RefusalCode};
use hyper::StatusCode;

/// Returns a refusal with a message for people.
pub(crate) fn refusal(code: RefusalCode, message: impl Into<String>) -> Refusal {
    Refusal { code, message: message.into() }
}

/// Refuses a command whose epoch is older than `newest`.
pub(crate) fn stale_epoch(newest: u64) -> Refusal {
    refusal(RefusalCode::StaleEpoch, format!("this node knows epoch {newest}"))
}

/// Refuses a call that may succeed later.
pub(crate) fn unavailable(message: impl Into<String>) -> Refusal {
    refusal(RefusalCode::Unavailable, message)
}

/// Refuses a call that is invalid in itself.
pub(crate) fn malformed(message: impl Into<String>) -> Refusal {
    refusal(RefusalCode::Malformed, message)
}

/// Returns the HTTP status of a refusal.
pub(crate) fn http_status(code: RefusalCode) -> StatusCode {
    match code {
        RefusalCode::StaleEpoch | RefusalCode::NotRegistered | RefusalCode::StillLinked => {
            StatusCode::CONFLICT
        }
        RefusalCode::UnknownSession | RefusalCode::UnknownCall => StatusCode::NOT_FOUND,
        RefusalCode::AtCapacity | RefusalCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        RefusalCode::Unauthorized => StatusCode::UNAUTHORIZED,
        RefusalCode::Malformed => StatusCode::BAD_REQUEST,
        RefusalCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
