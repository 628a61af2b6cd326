//! Tests of the worker over memory stores and a fake gateway.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cleanups;
mod conversations;
mod events;
mod fairness;
mod fixture;
mod fleet;
mod idempotency_records;
mod keys_unavailable;
mod message_removal;
mod model_test;
mod nodes;
mod orphans;
mod outbox;
mod sessions;
mod sim_fleet;
