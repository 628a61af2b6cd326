//! Errors of use cases. Each variant is an answer that a caller can get.
//!
//! `Display` is text for the caller and contains neither causes nor ids. `source()` is for the log.

use std::time::Duration;

use crate::{
    id::EventId,
    message::state::MessageFailure,
    ports::{
        error::{BoxError, PortError},
        store::written::Rejection,
    },
    rate_quota::RateQuota,
    resource_quota::ResourceLimitReached,
    violation::Violation,
};

/// Result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Error of a use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is invalid. The list contains every violation.
    #[error("the request is not valid")]
    Validation(Vec<Violation>),
    /// The credential is missing or not accepted. All causes give the same answer.
    #[error("authentication required")]
    Unauthorized,
    /// The caller lacks a capability or the reach. Only `access.rs` answers a caller with it.
    #[error("not allowed")]
    Forbidden,
    /// The scope contains no such entity. Only `access.rs` answers a caller with it.
    #[error("{noun} not found")]
    NotFound {
        /// Kind of the entity, for example `session`.
        noun: &'static str,
    },
    /// The entity exists, and the requested part may become available.
    #[error("{noun} not available yet")]
    NotYet {
        /// Name of the requested part.
        noun: &'static str,
        /// Time after which a retry is useful.
        retry_after: Duration,
    },
    /// The present state does not allow the operation.
    #[error("{message}")]
    Conflict {
        /// Text for people that names the remedy.
        message: &'static str,
        /// Time after which a retry is useful. `None` if waiting does not help.
        retry_after: Option<Duration>,
    },
    /// The session is not paired, and the operation requires a linked device.
    #[error("the session is not paired")]
    NotPaired,
    /// The pairing attempt ended without a link. The reason of the session's status says why.
    #[error("the pairing ended without a link")]
    PairingEnded,
    /// WhatsApp made no pairing code. The reason of the session's status says why.
    #[error("WhatsApp gave no pairing code")]
    NoPairingCode,
    /// The organization has reached a resource limit.
    #[error("{}", .0.resource.limit_message())]
    Full(ResourceLimitReached),
    /// The position is not in the event feed of the organization, or no longer: it was removed, never
    /// existed, or belongs to another organization.
    #[error("the position is not in the event feed, or no longer")]
    Gone {
        /// The oldest event that remains. `None` without events.
        oldest: Option<EventId>,
    },
    /// The entity is not at the version that the caller expects.
    #[error("the resource has changed")]
    PreconditionFailed,
    /// A rate quota is exhausted.
    #[error("too many requests")]
    RateLimited {
        /// The exhausted quota.
        rate_quota: RateQuota,
        /// Time until the quota admits the next call.
        retry_after: Duration,
    },
    /// WhatsApp does not deliver the message.
    #[error("{}", .0.reason.message())]
    Undeliverable(MessageFailure),
    /// The deployment does not support the operation.
    #[error("not supported here")]
    NotImplemented,
    /// A dependency is not reachable now.
    #[error("temporarily unavailable")]
    Unavailable {
        /// Time after which a retry is useful.
        retry_after: Duration,
        /// Cause, for the log.
        #[source]
        source: BoxError,
    },
    /// An internal error. The source is for the log.
    #[error("internal error")]
    Internal(#[source] BoxError),
}

impl Error {
    /// Creates a conflict that waiting does not solve.
    pub const fn conflict(message: &'static str) -> Self {
        Self::Conflict { message, retry_after: None }
    }

    /// Creates [`Error::Unavailable`] with the default retry time.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::Unavailable { retry_after: RETRY_AFTER, source: source.into() }
    }
}

/// Retry time if no better value is known.
const RETRY_AFTER: Duration = Duration::from_secs(2);

impl From<PortError> for Error {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Unavailable(source) => Self::unavailable(source),
            PortError::Broken(source) => Self::Internal(source),
        }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            // A retry gets the response of the request that was recorded first.
            Rejection::Repeated => Self::Conflict {
                message: "a request with this idempotency key is under way",
                retry_after: Some(Duration::from_secs(1)),
            },
            Rejection::Full(full) => Self::Full(full),
            Rejection::RateLimited { rate_quota, retry_after } => {
                Self::RateLimited { rate_quota, retry_after }
            }
        }
    }
}
