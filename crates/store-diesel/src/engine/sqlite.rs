//! SQLite: connections to the file, the writer thread and the WAL index.

pub(crate) mod connect;
pub(crate) mod inline_reader;
pub(crate) mod migrate;
pub(crate) mod wal_index;
pub(crate) mod writer;
