//! Stores in memory. One file implements one port.

mod data_keys;
mod events;
mod feed;
mod idempotency;
mod keys;
mod nodes;
mod operators;
mod orphans;
mod quotas;
mod sessions;
mod webhook_rows;
mod webhooks;
pub(crate) mod state;
mod worker_store;
