//! What one listener puts up with: every size, number and duration a stranger could stretch.
//!
//! Decision: ADR 0028.

use std::time::Duration;

use crate::listener::address::Network;

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
    /// How long a connection may go without a request. Longer than proxies keep theirs, or a proxy would
    /// send a request into a connection that is being closed.
    pub idle: Duration,
    /// How long a peer may take none of its answers before its connection ends; each answer is taken
    /// within four times as long.
    pub write_time: Duration,
    /// How many bytes of answers may wait for peers, on all connections; beyond, the connection that waits
    /// longest ends.
    pub unwritten_bytes: usize,
    /// How many connections are open at once; for a further one, the idlest of the address that has most
    /// ends.
    pub connections: usize,
    /// How many of them may be such that no caller was admitted on yet.
    pub unauthenticated_connections: usize,
    /// Proxies that speak for many: their connections are not counted by address.
    pub trusted_proxies: Vec<Network>,
    /// How many requests are worked on at once, on all connections, shared by organizations; and of how
    /// many the caller is being looked up.
    pub requests: usize,
    /// How many requests may wait, for the rest of their body or for a session to change, shared in the same
    /// way.
    pub waiting: usize,
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
            idle: Duration::from_secs(130),
            write_time: Duration::from_secs(30),
            unwritten_bytes: 64 * 1024 * 1024,
            connections: 4096,
            unauthenticated_connections: 1024,
            trusted_proxies: Vec::new(),
            requests: 2048,
            waiting: 3072,
            streams: 32,
            drain: Duration::from_secs(20),
        }
    }
}

impl Limits {
    /// For the nodes' listener: few callers, who are known, and whose beats and reports tell of
    /// thousands of sessions at once.
    pub fn for_nodes() -> Self {
        Self { body_bytes: 16 * 1024 * 1024, requests: 256, waiting: 256, ..Self::default() }
    }
}
