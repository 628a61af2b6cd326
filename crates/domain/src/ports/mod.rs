//! What the domain needs of the world, one file per outside party.
//!
//! A port fails in two ways only, [`PortError`]; absence is an `Option`, a lost race is a value.

mod authn;
mod change_notifier;
mod environment;
mod orphans;
mod session_control;
mod store;
mod worker_store;

pub use authn::{Authenticator, Credential, GeneratedKey, KeyGenerator, PresentedKey, Refused};
pub use change_notifier::{ChangeNotifier, Subscription, VersionLookup};
pub use environment::{Environment, Notifier, OrganizationTags};
pub use orphans::OrphanStore;
pub use session_control::{GatewayError, SessionControl};
pub use store::{
    ApiKeyStore, EventFilter, EventLog, EventPage, IdempotencyStore, KeyDirectory, KeyPage,
    NodeStore, OperatorStore, Position, Refusal, SessionFilter, SessionPage, SessionStore, Written,
};
pub use worker_store::{Claim, WorkerStore};

/// Any error, for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a port answers.
pub type PortResult<T> = std::result::Result<T, PortError>;

/// How a port fails.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// It cannot be reached now; nothing is known to have changed.
    #[error("unavailable")]
    Unavailable(#[source] BoxError),
    /// It answered something that cannot be.
    #[error("broken")]
    Broken(#[source] BoxError),
}
