//! Test doubles for everything behind a port, and one suite per port that every adapter must pass.
//!
//! The doubles are trusted because they pass the same suites as the real adapters.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test double fails by failing the test"
)]

pub mod contract;
mod environment;
mod gateway;
mod gateway_entry;
mod keys;
mod life;
mod memory;
mod memory_backlog;
mod memory_events;
mod memory_keys;
mod memory_orphans;
mod memory_quotas;
mod memory_receipts;
mod memory_registry;
mod world;

pub use environment::{TestBell, TestEnvironment};
pub use gateway::RememberingGateway;
pub use keys::{PlainKeys, PlainTags};
pub use life::live;
pub use memory::Memory;
pub use world::{CANARY, World};
