//! Stores in memory. One file implements one port.

mod browser_sessions;
mod data_keys;
mod deliveries;
mod erasure;
mod events;
mod feed;
mod idempotency;
mod keys;
mod message_retention;
mod messages;
mod messaging;
mod messaging_rows;
mod nodes;
mod operators;
mod orphans;
mod outbox;
mod quotas;
mod sessions;
mod share_links;
pub(crate) mod state;
mod tickets;
mod webhook_rows;
mod webhooks;
mod worker_store;
