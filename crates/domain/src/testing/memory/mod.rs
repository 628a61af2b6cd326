//! Stores in memory. One file implements one port.

mod events;
mod feed;
mod idempotency;
mod keys;
mod nodes;
mod operators;
mod orphans;
mod quotas;
mod sessions;
pub(crate) mod state;
mod tickets;
mod worker_store;
