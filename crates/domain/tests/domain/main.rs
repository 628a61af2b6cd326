//! Tests of the domain: isolation of every use case over the memory world, properties of the pure
//! rules and of the deliveries to webhooks, and the contract suites of the doubles.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;
mod deliveries;
mod delivery_routers;
mod failures;
mod isolation;
mod keys;
mod notifications;
mod properties;
mod quotas;
