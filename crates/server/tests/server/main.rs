//! Tests of the `berth` program from outside: command line, signals, requests and log.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod backups;
mod berth;
mod doctor;
mod fleet;
mod gateway;
mod journal_log;
mod keys;
mod node_tls;
mod seal;
mod serving;
mod settings;
mod unread_log;
