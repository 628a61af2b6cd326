//! Tests of the store on a real SQLite file and a real PostgreSQL server. Without
//! `BERTH_TEST_POSTGRES_URL`, which `cargo xtask test` sets, the tests on PostgreSQL are skipped with
//! a message.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helping functions too"
)]

mod both_databases;
mod clock;
mod concurrency;
mod contract;
mod corruption;
mod feed_migration;
mod feed_order;
mod feed_recovery;
mod freshness;
mod group_commit;
mod messages_at_rest;
mod migrations;
mod outage;
mod pooler;
mod proxy;
mod restored_copy;
mod session_figures;
mod sqlite_file;
mod test_database;
mod tls;
