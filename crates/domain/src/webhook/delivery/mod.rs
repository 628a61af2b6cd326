//! The delivery of events to webhooks: queues, retries and leases, as pure functions.
//!
//! Decisions: ADR 0043, ADR 0044.

pub(crate) mod attempts;
pub(crate) mod breaker;
pub(crate) mod changes;
pub(crate) mod deliveries;
pub(crate) mod event_queue;
mod flush;
pub(crate) mod lease;
pub(crate) mod lookup;
pub(crate) mod retry_queue;
mod retry_state;
mod scan;
mod unflushed;
