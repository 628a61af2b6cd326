//! The program as an operator meets it: started, told, asked, and ended from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod berth;
mod gateway;
mod keys;
mod serving;
mod settings;
mod unread_log;
