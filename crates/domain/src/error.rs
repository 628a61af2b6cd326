//! How a request can end badly: one variant per thing a caller can be told.
//!
//! `Display` is for the caller and never names a cause or an id; `source()` is for the log.

use std::time::Duration;

use crate::{
    RateQuota, ResourceLimitReached,
    ports::{BoxError, PortError, Refusal},
};

/// What a use case answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: a JSON pointer into the body, or a parameter's name.
    pub field: String,
    /// What is wrong there, for people.
    pub reason: String,
}

impl Violation {
    /// `field` is wrong because of `reason`.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// How a request ends when it does not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is wrong by itself; every fault at once.
    #[error("the request is not valid")]
    Validation(Vec<Violation>),
    /// No credential, or one that nobody accepts. One answer for every cause.
    #[error("authentication required")]
    Unauthorized,
    /// The caller lacks the capability. Made in `access.rs` alone.
    #[error("not allowed")]
    Forbidden,
    /// No such thing in the caller's scope. Made in `access.rs` alone.
    #[error("{noun} not found")]
    NotFound {
        /// What the thing is called.
        noun: &'static str,
    },
    /// It exists, but does not have this yet; asking again later makes sense.
    #[error("{noun} not available yet")]
    NotYet {
        /// What is awaited.
        noun: &'static str,
        /// When to ask again.
        retry_after: Duration,
    },
    /// The present state does not allow it.
    #[error("{message}")]
    Conflict {
        /// What to do about it, for people.
        message: &'static str,
        /// When asking again makes sense, if it does.
        retry_after: Option<Duration>,
    },
    /// The organization has as much of something as it may have.
    #[error("{}", .0.resource.limit_message())]
    Full(ResourceLimitReached),
    /// The thing is not at the version the caller expects.
    #[error("the resource has changed")]
    PreconditionFailed,
    /// Too much of something in too short a time.
    #[error("too many requests")]
    RateLimited {
        /// Of what, and how much there may be.
        rate_quota: RateQuota,
        /// When to ask again.
        retry_after: Duration,
    },
    /// This deployment cannot do it.
    #[error("not supported here")]
    NotImplemented,
    /// Something needed cannot be reached now.
    #[error("temporarily unavailable")]
    Unavailable {
        /// When to ask again.
        retry_after: Duration,
        /// For the log.
        #[source]
        source: BoxError,
    },
    /// Our fault.
    #[error("internal error")]
    Internal(#[source] BoxError),
}

impl Error {
    /// A conflict that waiting will not solve.
    pub const fn conflict(message: &'static str) -> Self {
        Self::Conflict { message, retry_after: None }
    }

    /// Something needed cannot be reached now; worth asking again in a moment.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::Unavailable { retry_after: RETRY_AFTER, source: source.into() }
    }
}

/// What an unavailable answer advises when nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(2);

impl From<PortError> for Error {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Unavailable(source) => Self::unavailable(source),
            PortError::Broken(source) => Self::Internal(source),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full(full) => Self::Full(full),
            Refusal::Limited { rate_quota, retry_after } => {
                Self::RateLimited { rate_quota, retry_after }
            }
        }
    }
}
