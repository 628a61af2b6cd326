//! Sends one webhook request safely: to an address that was judged, signed, and within limits of
//! time and size.
//!
//! A caller validates the parts of a webhook ([`WebhookUrl`], [`SigningSecret`],
//! [`CustomHeaders`]), signs a [`Delivery`] into an [`Attempt`], and hands the attempt to
//! [`Sender::send`], which returns an [`Outcome`]. The crate decides neither when an event is sent
//! nor whether an attempt is repeated.
//!
//! - `address` and `connect` decide which address is dialled, and dial it.
//! - `attempt` builds and signs the request, `exchange` sends it and reads the response.
//!
//! The crate knows no other crate of this workspace.
//!
//! Decision: ADR 0039.

mod address;
mod attempt;
mod config;
mod connect;
mod exchange;
mod failure;
mod headers;
mod host;
mod limits;
mod outcome;
mod signature;
mod url;

pub use self::{
    address::{Allowed, Forbidden, InvalidAllowEntry},
    attempt::{Attempt, Delivery, InvalidEventId},
    config::Config,
    connect::{Dial, Lookup, NetworkAccess, SystemDial, SystemLookup, default_roots},
    exchange::Sender,
    failure::CheckError,
    headers::{CustomHeaders, InvalidHeaders, MASK},
    host::{Host, InvalidHost},
    limits::Limits,
    outcome::Outcome,
    signature::{InvalidSecret, SigningSecret, SigningSecrets},
    url::{InvalidUrl, MAX_URL, WebhookUrl},
};
