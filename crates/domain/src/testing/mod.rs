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
mod fake_session;
mod fake_session_control;
mod keys;
mod life;
mod memory;
mod memory_events;
mod memory_idempotency;
mod memory_keys;
mod memory_operators;
mod memory_orphans;
mod memory_quotas;
mod memory_worker_store;
mod world;

pub use environment::{TestEnvironment, TestNotifier};
pub use fake_session_control::FakeSessionControl;
pub use keys::{PlainKeyGenerator, PlainOrganizationTags};
pub use life::check_lifecycle;
pub use memory::Memory;
pub use world::{CANARY, World};
