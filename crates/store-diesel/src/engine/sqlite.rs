//! SQLite: connections to the file and the writer thread.

pub(crate) mod connect;
pub(crate) mod inline_reader;
pub(crate) mod migrate;
pub(crate) mod writer;
