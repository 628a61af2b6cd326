//! What the domain needs of the world, one file per outside party.
//!
//! A port fails in two ways only, [`PortError`]; absence is an `Option`, a lost race is a value.

mod authn;
mod backlog;
mod changes;
mod environment;
mod gateway;
mod orphans;
mod store;

pub use authn::{Authenticator, Credential, KeyMaker, NewSecret, Refused, ShownKey};
pub use backlog::{Backlog, Claim};
pub use changes::{Changes, Versions, Watch};
pub use environment::{Bell, Environment, GroupTags};
pub use gateway::{Gateway, GatewayError};
pub use orphans::OrphanStore;
pub use store::{
    ApiKeyStore, EventFilter, EventLog, EventPage, KeyDirectory, KeyPage, NodeStore, Position,
    ReceiptStore, Refusal, Registry, SessionFilter, SessionPage, SessionStore, Written,
};

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
