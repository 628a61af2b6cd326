//! Tests of the gateway client against a scripted node, and of the domain's contract against a real
//! node.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod contract;
mod failures;
mod messaging;
mod real_node;
mod requests;
mod scripted_node;
