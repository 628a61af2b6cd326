//! The limits of one listener: each size, number and duration that a peer could otherwise stretch.
//!
//! Decisions: ADR 0028, ADR 0040.

use std::time::Duration;

use crate::address::Network;

/// The limits of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request line and the headers together; more is 431. At least 8192 over
    /// HTTP/1.1.
    pub header_bytes: usize,
    /// Number of headers of a request; more is 431.
    pub header_count: usize,
    /// Bytes of a request body; more is 413.
    pub body_bytes: usize,
    /// Time for a request body to arrive; longer is 408.
    pub body_time: Duration,
    /// Time for a whole request; longer is 503. Must exceed the longest wait of a handler.
    pub request_time: Duration,
    /// Time from the start of a connection to the complete headers of its first request, a TLS
    /// handshake included.
    pub first_request: Duration,
    /// Time that a connection may stay without a request. Must exceed the idle timeout of proxies,
    /// which would otherwise send a request into a connection that is being closed.
    pub idle: Duration,
    /// Time without progress after which a connection with unwritten response bytes ends. Each
    /// response must be written within four times this time.
    pub write_time: Duration,
    /// Unwritten response bytes of all connections together. Beyond the limit, the connections that
    /// have been blocked longest end.
    pub unwritten_bytes: usize,
    /// Number of open connections. A further connection replaces the longest idle connection of the
    /// address with the most connections.
    pub connections: usize,
    /// Number of open connections without an authenticated caller.
    pub unauthenticated_connections: usize,
    /// Trusted proxies. Their connections are not counted by address.
    pub trusted_proxies: Vec<Network>,
    /// Number of requests at work on all connections, shared by groups of callers. A request is at
    /// work until its response is written or dropped. The same number of further requests may wait
    /// for the authentication of their caller.
    pub requests: usize,
    /// Number of requests that wait for the rest of their body, or that are long polls, shared in
    /// the same way.
    pub waiting: usize,
    /// Number of streams that are open on all connections: response bodies without a known end, and
    /// upgraded connections. Streams hold no permit of another kind.
    pub streams: usize,
    /// Number of open streams of one group of callers, such as an organization.
    pub streams_per_group: usize,
    /// Number of open streams of one member of a group, such as a credential.
    pub streams_per_member: usize,
    /// Time without a written byte after which a connection ends whose requests are all streams.
    /// Also the time after which the system gives up a peer that acknowledges nothing.
    pub stream_stall: Duration,
    /// Number of open requests of one HTTP/2 connection.
    pub http2_streams: u32,
    /// Time for requests in flight to finish when the listener stops.
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
            streams: 10_000,
            streams_per_group: 200,
            streams_per_member: 20,
            stream_stall: Duration::from_secs(60),
            http2_streams: 32,
            drain: Duration::from_secs(20),
        }
    }
}
