//! The domain's own tests: isolation of every use case over the in-memory world, laws of the pure
//! rules, and the doubles against the suites that every adapter must pass.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;
mod failures;
mod isolation;
mod keys;
mod notifications;
mod properties;
mod quotas;
