//! WhatsApp sessions of many organizations: the model, the isolation rule, and the ports.
//!
//! [`Caller::may`](access) gives a [`Scope`], every look-up takes one, and what it does not find is
//! *not found*: missing, deleted, foreign and out of reach are one path and one answer. Use cases
//! ([`Sessions`], [`ApiKeys`], [`Nodes`]) speak to the world through [`ports`] alone.
//!
//! What this crate must never know: HTTP, SQL, JSON, tokio, logging, the real clock, WhatsApp's wire.

pub mod access;
mod api_key;
mod caller;
mod deadlines;
mod error;
mod event;
pub mod gateway;
mod id;
mod pairing;
pub mod ports;
pub mod reconcile;
mod retirement;
mod session;
#[cfg(feature = "testing")]
pub mod testing;
mod time;

pub use access::{Scope, found};
pub use api_key::{ApiKey, ApiKeys, KeySpec};
pub use caller::{Actor, Caller, Capabilities, Capability, Reach};
pub use deadlines::{Deadlines, back_off};
pub use error::{Error, Result, Violation};
pub use event::{Event, EventName, Fact, News, Payload};
pub use gateway::{
    Beat, Declaration, Enlistment, Held, Lease, LiveIdentity, LogoutOutcome, Node, Nodes, Snapshot,
    SnapshotReason,
};
pub use id::{EventId, GatewayId, KeyId, OrganizationId, SessionId, UserId};
pub use pairing::{Attempt, Identity, PairingCode, PairingWanted, Phone, QrCode};
pub use retirement::Retirement;
pub use session::{
    Change, Desired, MAX_RATE, ReasonCode, Seen, Session, SessionPorts, Sessions, Settings, Status,
    StatusReason, Unlink, Version, Wanted, WhoIsAttached,
};
pub use time::Timestamp;
