//! Copies of stored values in memory.

pub(crate) mod read_cache;
