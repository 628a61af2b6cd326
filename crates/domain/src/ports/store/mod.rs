//! What is remembered. Caller-facing methods take a [`Scope`]; the others are for berth's own work.
//!
//! A store knows how much each organization may keep ([`Quotas`](crate::resource_quota::Quotas)) and counts it exactly:
//! of two writes that want the last place, one is refused, whatever routers they come from.

pub(crate) mod events;
pub(crate) mod idempotency;
pub(crate) mod keys;
pub(crate) mod nodes;
pub(crate) mod position;
pub(crate) mod sessions;
pub(crate) mod worker;
pub(crate) mod written;
