//! What one listener puts up with: every size, number and duration a stranger could stretch.

use std::time::Duration;

/// The limits of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A request's line and headers together; more is 431.
    pub header_bytes: usize,
    /// How many headers a request may have; more is 431.
    pub header_count: usize,
    /// A request's body; more is 413.
    pub body_bytes: usize,
    /// How long a body may take to arrive; longer is 408.
    pub body_time: Duration,
    /// How long a request may take as a whole; longer is 503. Must exceed the longest wait a caller
    /// can ask for, 30 s.
    pub request_time: Duration,
    /// How long a new connection may take until its first request's headers are complete.
    pub first_request: Duration,
    /// How long a connection may go without a request.
    pub idle: Duration,
    /// How many connections are open at once; further ones wait to be accepted.
    pub connections: usize,
    /// How many requests are worked on at once, on all connections; further ones are 503.
    pub requests: usize,
    /// How many requests one HTTP/2 connection may have open.
    pub streams: u32,
    /// How long requests under way may take to finish when the service stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 16 * 1024,
            header_count: 100,
            body_bytes: 64 * 1024,
            body_time: Duration::from_secs(10),
            request_time: Duration::from_secs(35),
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            connections: 1024,
            requests: 2048,
            streams: 64,
            drain: Duration::from_secs(20),
        }
    }
}

impl Limits {
    /// For the nodes' listener: few callers, who are known, and whose beats and reports tell of
    /// thousands of sessions at once.
    pub fn for_nodes() -> Self {
        Self { body_bytes: 16 * 1024 * 1024, requests: 256, ..Self::default() }
    }
}
