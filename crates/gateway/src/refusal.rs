//! How this node says no.

use gateway_protocol::{Refusal, RefusalCode};
use hyper::StatusCode;

/// A refusal with its message for people.
pub(crate) fn refusal(code: RefusalCode, message: impl Into<String>) -> Refusal {
    Refusal { code, message: message.into() }
}

/// Something newer was heard.
pub(crate) fn stale_epoch(newest: u64) -> Refusal {
    refusal(RefusalCode::StaleEpoch, format!("this node knows epoch {newest}"))
}

/// Not now.
pub(crate) fn unavailable(message: impl Into<String>) -> Refusal {
    refusal(RefusalCode::Unavailable, message)
}

/// Wrong by itself.
pub(crate) fn malformed(message: impl Into<String>) -> Refusal {
    refusal(RefusalCode::Malformed, message)
}

/// The status each refusal travels with.
pub(crate) fn http_status(code: RefusalCode) -> StatusCode {
    match code {
        RefusalCode::StaleEpoch | RefusalCode::NotEnlisted | RefusalCode::StillLinked => {
            StatusCode::CONFLICT
        }
        RefusalCode::UnknownSession | RefusalCode::UnknownCall => StatusCode::NOT_FOUND,
        RefusalCode::AtCapacity | RefusalCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        RefusalCode::Unauthorized => StatusCode::UNAUTHORIZED,
        RefusalCode::Malformed => StatusCode::BAD_REQUEST,
        RefusalCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
