//! Time limits and size limits of one attempt.

use std::time::Duration;

/// Limits of a sender. `Default` gives the values of production; tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time limit of a lookup, waiting for a permit included.
    pub lookup: Duration,
    /// Maximum number of lookups at once.
    pub lookups: usize,
    /// Maximum number of lookups at once for one organization.
    pub lookups_per_organization: usize,
    /// Time for which addresses of a name are cached.
    pub lookup_ttl: Duration,
    /// Time for which a failed lookup is cached.
    pub lookup_failure_ttl: Duration,
    /// Time limit of TCP connecting, over all addresses of a name.
    pub connect: Duration,
    /// Time after which the next address is dialled beside the last one.
    pub dial_gap: Duration,
    /// Time limit from the start of the attempt to the end of the response head.
    pub head: Duration,
    /// Time limit of reading the response body, which decides only whether the connection is used
    /// again.
    pub body: Duration,
    /// Maximum length of a response body whose connection is used again, in bytes.
    pub body_bytes: usize,
    /// Maximum length of [`Outcome::excerpt`](crate::Outcome::excerpt), in bytes.
    pub excerpt_bytes: usize,
    /// Time for which an unused connection stays open.
    pub idle: Duration,
    /// Maximum number of unused connections.
    pub idle_connections: usize,
    /// Maximum number of unused connections of one webhook.
    pub idle_per_webhook: usize,
    /// Maximum of [`Outcome::retry_after`](crate::Outcome::retry_after).
    pub retry_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lookup: Duration::from_secs(5),
            lookups: 32,
            lookups_per_organization: 2,
            lookup_ttl: Duration::from_secs(30),
            lookup_failure_ttl: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            dial_gap: Duration::from_millis(250),
            head: Duration::from_secs(15),
            body: Duration::from_secs(2),
            body_bytes: 16 << 10,
            excerpt_bytes: 512,
            idle: Duration::from_secs(30),
            idle_connections: 256,
            idle_per_webhook: 8,
            retry_after: Duration::from_secs(6 * 60 * 60),
        }
    }
}
