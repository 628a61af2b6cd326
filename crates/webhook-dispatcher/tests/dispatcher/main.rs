//! Tests of the dispatcher over the memory store, with a receiver in the process and virtual time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod changes;
mod failures;
mod fleet;
mod receiver;
mod routers;
