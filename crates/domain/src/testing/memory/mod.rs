//! Stores in memory. One file implements one port.

mod data_keys;
mod events;
mod idempotency;
mod keys;
mod nodes;
mod operators;
mod orphans;
mod quotas;
mod sessions;
pub(crate) mod state;
mod worker_store;
