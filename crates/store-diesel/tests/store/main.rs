//! The store, on a real SQLite file and a real PostgreSQL server: every claim is made on both.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helping functions too"
)]

mod claims;
mod clock;
mod contract;
mod corruption;
mod file;
mod freshness;
mod migrations;
mod outage;
mod place;
mod pooler;
mod proxy;
mod races;
mod tls;
mod together;
