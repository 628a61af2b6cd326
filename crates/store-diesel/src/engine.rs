//! Connections to the two databases. No file here knows a table.

use std::thread;

pub(crate) mod checkout;
pub(crate) mod migrations;
pub(crate) mod postgres;
pub(crate) mod sqlite;

/// How many connections look-ups have: as many as can be busy at once, and no more than a server
/// notices.
pub(crate) fn lookup_connections() -> usize {
    thread::available_parallelism().map_or(1, usize::from).clamp(1, 4)
}
