//! Tests of the store on a real SQLite file and a real PostgreSQL server. Without
//! BERTH_TEST_POSTGRES_URL, which `cargo xtask test` sets, the tests on PostgreSQL are skipped with
//! a message.
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
