//! Attempts at a delivery: the outcome, and the record that the owner sees.

use std::time::Duration;

use crate::{
    id::{AttemptId, EventId},
    time::Timestamp,
};

/// The class of an attempt's outcome, as the owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutcomeClass {
    /// A status from 200 to 299, which alone is a success.
    Success,
    /// A status from 300 to 399. Redirects are not followed.
    Redirect,
    /// A status from 400 to 499 except 429.
    ClientError,
    /// Status 429.
    TooManyRequests,
    /// A status from 500 to 599.
    ServerError,
    /// No response head in time.
    Timeout,
    /// The name has no address.
    Dns,
    /// The destination is not allowed.
    Blocked,
    /// No TCP connection could be opened.
    Connect,
    /// TLS failed.
    Tls,
    /// The connection ended before the response head was complete.
    Reset,
    /// The response is invalid.
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

    /// Returns the stable name, as stored and sent.
    pub const fn as_str(self) -> &'static str {
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

    /// Returns the class with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

/// The result of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptOutcome {
    /// Class of the outcome.
    pub class: OutcomeClass,
    /// Status of the response. `None` without a valid response head.
    pub status: Option<u16>,
    /// Delay that the receiver asks for.
    pub retry_after: Option<Duration>,
    /// Beginning of the response body as text. `None` for a success and for receivers that are
    /// reachable only because the operator allows a private address.
    pub excerpt: Option<String>,
    /// Time from the start of the attempt to the response head or the failure.
    pub duration: Duration,
    /// Cause of a failure, for the log: may name internal addresses.
    pub cause: Option<String>,
}

impl AttemptOutcome {
    /// Returns true if the receiver took the event.
    pub fn is_success(&self) -> bool {
        self.class == OutcomeClass::Success
    }
}

/// The record of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Id of the attempt.
    pub id: AttemptId,
    /// The event.
    pub event: EventId,
    /// Number of the attempt of the event, from 1.
    pub number: u32,
    /// Whether a replay caused the attempt.
    pub replay: bool,
    /// Start of the attempt.
    pub at: Timestamp,
    /// Duration up to the response head or the failure.
    pub duration: Duration,
    /// Class of the outcome.
    pub class: OutcomeClass,
    /// Status of the response.
    pub status: Option<u16>,
    /// See [`AttemptOutcome::excerpt`].
    pub excerpt: Option<String>,
}
