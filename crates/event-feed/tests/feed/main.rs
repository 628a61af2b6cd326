//! Tests of the feed over the memory store.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helping functions too"
)]

mod fixture;
mod readers;
mod recovery;
mod watchers;
