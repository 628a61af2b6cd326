//! WhatsApp sessions of many organizations: the model, the isolation rule, and the ports.
//!
//! [`Caller::may`](access) gives a [`Scope`], every look-up takes one, and what it does not find is
//! *not found*: missing, deleted, foreign and out of reach are one path and one answer. Use cases
//! ([`Sessions`], [`ApiKeys`], [`Nodes`]) speak to the world through [`ports`] alone.
//!
//! Another service that keeps things per organization reuses the rule like this:
//!
//! ```
//! use domain::{Caller, Capability, OrganizationId, Reach, Result, Scope, found};
//! use domain::{Actor, Capabilities, Error, SessionId};
//!
//! /// A template belongs to one session of one organization.
//! struct Template { organization: OrganizationId, session: SessionId, text: String }
//!
//! /// Stands for a table: the scope is part of the look-up, as it is of a statement's WHERE.
//! fn look_up<'a>(all: &'a [Template], scope: &Scope, session: &SessionId) -> Option<&'a Template> {
//!     all.iter().find(|t| t.session == *session && scope.covers(&t.organization, &t.session))
//! }
//!
//! /// 403 before anything is looked up, 404 for whatever is not in the caller's scope.
//! fn text<'a>(all: &'a [Template], caller: &Caller, session: &SessionId) -> Result<&'a str> {
//!     let scope = caller.may(Capability::Read)?;
//!     Ok(&found("template", look_up(all, &scope, session))?.text)
//! }
//!
//! let caller = |organization: &str, role: &str| Caller {
//!     actor: Actor::User(None),
//!     organization: OrganizationId::parse(organization),
//!     capabilities: Capabilities::of_role(role),
//!     reach: Reach::Everything,
//!     platform_admin: false,
//! };
//! let (session, text_of) = (SessionId::mint(1), "Dear customer");
//! let organization = OrganizationId::parse("acme").unwrap();
//! let all = [Template { organization, session: session.clone(), text: text_of.into() }];
//! assert_eq!(text(&all, &caller("acme", "member"), &session).unwrap(), text_of);
//! let (hidden, missing) = (session, SessionId::mint(2));
//! for id in [hidden, missing] {
//!     let answer = text(&all, &caller("zeta", "owner"), &id);
//!     assert!(matches!(answer, Err(Error::NotFound { noun: "template" })));
//! }
//! ```
//!
//! What this crate must never know: HTTP, SQL, JSON, tokio, logging, the real clock, WhatsApp's wire.

pub mod access;
mod api_key;
mod audit;
mod caller;
mod cleanup;
mod deadlines;
mod error;
mod event;
pub mod gateway;
mod id;
mod idempotency;
mod link_attempt;
mod operators;
mod orphan;
mod pairing;
pub mod ports;
mod rate_quota;
pub mod reconcile;
mod resource_quota;
mod session;
#[cfg(feature = "testing")]
pub mod testing;
mod time;

pub use access::{Scope, or_not_found};
pub use api_key::{ApiKey, ApiKeys, KeySpec, MAX_KEY_SESSIONS, NO_SUCH_SESSION, NewApiKey};
pub use audit::Audit;
pub use caller::{Actor, Caller, Capabilities, Capability, Reach};
pub use cleanup::Cleanup;
pub use deadlines::{Deadlines, back_off};
pub use error::{Error, Result, Violation};
pub use event::{Event, EventName, EventPayload, EventValue, NewEvent};
pub use gateway::{
    Declaration, HeartbeatOutcome, HeldSession, Lease, Leases, LinkState, LiveIdentity,
    LogoutOutcome, Node, Nodes, RefusedReport, Registration, ReportOutcome, Snapshot,
    SnapshotReason,
};
pub use id::{EventId, GatewayId, KeyId, OrganizationId, SessionId, UserId};
pub use idempotency::{IdempotencyKeyHash, IdempotencyRecord, RecordResponse};
pub use link_attempt::{LinkAttempt, MAX_LINK_ATTEMPTS_PER_HOUR};
pub use operators::Operators;
pub use orphan::{Orphan, Orphans};
pub use pairing::{Attempt, Identity, PairingCode, PairingSpec, Phone, QrCode};
pub use rate_quota::RateQuota;
pub use resource_quota::{Quotas, Resource, ResourceLimitReached, ResourceLimits};
pub use session::{
    Change, Desired, DueAsRead, ExpectedVersion, MAX_LABEL, MAX_METADATA, MAX_METADATA_KEY,
    MAX_METADATA_VALUE, MAX_RATE, Observed, PartialSession, ReasonCode, Session, SessionIdentity,
    SessionPorts, Sessions, Settings, SettingsPatch, Spec, Status, StatusReason, UnlinkRequest,
    Version,
};
pub use time::Timestamp;
