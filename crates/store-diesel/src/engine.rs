//! Connections to the two engines. No file here knows a table.

use std::thread;

pub(crate) mod checkout;
pub(crate) mod migrations;
pub(crate) mod postgres;
pub(crate) mod sqlite;

/// Returns the number of connections for point lookups: one per processor core, at most 4.
pub(crate) fn lookup_connections() -> usize {
    thread::available_parallelism().map_or(1, usize::from).clamp(1, 4)
}
