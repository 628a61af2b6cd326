//! Ports of the database, one file per kind of data. Methods for callers take a
//! [`Scope`](crate::access::Scope); the other methods are for the work of berth itself.
//!
//! A store knows the resource limits of each organization
//! ([`Quotas`](crate::resource_quota::Quotas)) and enforces them exactly: of two concurrent writes
//! for the last unit, one is refused, also across routers.

pub(crate) mod browser_sessions;
pub(crate) mod data_keys;
pub(crate) mod deliveries;
pub(crate) mod erasure;
pub(crate) mod events;
pub(crate) mod feed;
pub(crate) mod idempotency;
pub(crate) mod keys;
pub(crate) mod message_retention;
pub(crate) mod messages;
pub(crate) mod messaging;
pub(crate) mod nodes;
pub(crate) mod outbox;
pub(crate) mod position;
pub(crate) mod sessions;
pub(crate) mod share_links;
pub(crate) mod tickets;
pub(crate) mod webhooks;
pub(crate) mod worker;
pub(crate) mod written;
