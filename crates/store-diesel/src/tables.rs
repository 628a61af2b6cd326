//! One file per port of the store, and per group of methods of [`Database`](crate::Database).

pub(crate) mod api_keys;
pub(crate) mod claims;
pub(crate) mod clock;
pub(crate) mod data_keys;
pub(crate) mod event_retention;
pub(crate) mod events;
pub(crate) mod feed;
pub(crate) mod id_chunks;
pub(crate) mod idempotency;
pub(crate) mod idempotency_insert;
pub(crate) mod key_directory;
pub(crate) mod link_attempts;
pub(crate) mod nodes;
pub(crate) mod orphans;
pub(crate) mod quotas;
pub(crate) mod retention;
pub(crate) mod secrets;
pub(crate) mod session_lists;
pub(crate) mod session_versions;
pub(crate) mod sessions;
pub(crate) mod tickets;
pub(crate) mod transaction;
pub(crate) mod webhook_writes;
pub(crate) mod webhooks;
pub(crate) mod worker;
