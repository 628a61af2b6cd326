//! The delivery of events to webhooks: queues, retries and leases, as pure functions.
//!
//! Decision: ADR 0044.

pub(crate) mod lease;
pub(crate) mod retry_queue;
