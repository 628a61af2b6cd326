//! Test doubles of every port, and contract suites that every adapter must pass.
//!
//! The doubles pass the same suites as the real adapters.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test double fails by failing the test"
)]

pub mod contract;
mod environment;
mod fake_messaging_control;
mod fake_session;
mod fake_session_control;
mod fake_webhook_sender;
mod keys;
mod life;
mod memory;
pub mod messaging_fixture;
mod notifier;
pub mod outbox_fixture;
mod plain_sealer;
mod world;
mod writes;

pub use environment::TestEnvironment;
pub use fake_messaging_control::FakeMessagingControl;
pub use fake_session_control::FakeSessionControl;
pub use fake_webhook_sender::{FakeWebhookSender, SentRequest, outcome};
pub use keys::{PlainKeyGenerator, PlainLinkSecrets, PlainOrganizationTags};
pub use life::check_lifecycle;
pub use memory::state::Memory;
pub use messaging_fixture::{MessagingFixture, MessagingTestStore};
pub use notifier::{TestNotifier, TestPause};
pub use outbox_fixture::{OutboxFixture, OutboxTestStore};
pub use plain_sealer::PlainSealer;
pub use world::{CANARY, RETURN_ORIGIN, World};
pub use writes::{
    cleanup_of, commit_parts, delete_session, insert_key, insert_session, link_session, revoke_key,
    update_by_system, update_session, write_by_system, write_session,
};
