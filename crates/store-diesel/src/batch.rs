//! Writes and lookups that share a statement or a transaction.

pub(crate) mod batched_lookup;
pub(crate) mod batcher;
pub(crate) mod group_commit;
pub(crate) mod mutation;
pub(crate) mod session_writes;
