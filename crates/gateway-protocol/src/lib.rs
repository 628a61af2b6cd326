//! The treaty: what the router and a gateway node say to each other over HTTP, as serde types.
//!
//! Both sides speak JSON with a bearer token. Every call may be repeated; every command carries the
//! session's `epoch`, and an older epoch is refused with [`RefusalCode::StaleEpoch`], so a command
//! that was delayed on the way can never undo a newer one.
//!
//! Router → node: `PUT /node/v1/sessions/{session}` with a [`Declaration`] answers a [`Snapshot`];
//! `POST /node/v1/sessions/{session}:logout` with a [`Logout`] answers [`LoggedOut`];
//! `DELETE /node/v1/sessions/{session}?epoch=N` closes, wipes the keys and answers 204 whether or not
//! the node knew the session; `GET /node/v1/sessions/{session}` and `GET /node/v1/sessions` answer
//! snapshots ([`Snapshots`]); `GET /node/v1/sessions/{session}/identity` answers a [`LiveIdentity`];
//! `GET /node/v1/health` answers [`Health`].
//!
//! Node → router: `POST /node/v1/gateways/{gateway}:enlist` with [`Enlist`] answers [`Enlisted`];
//! `POST …:beat` with [`Beat`] answers [`Beaten`]; `POST …:report` with [`Reports`] answers 204 once
//! all of them are durable, or 200 and [`Reported`] when some of them cannot be stored.
//!
//! Any refusal is a [`Refusal`] with a 4xx or 5xx status. Times are epoch milliseconds.
//!
//! Decision: ADR 0001.

mod commands;
mod membership;
mod snapshot;

pub use commands::{
    Declaration, LiveIdentity, LoggedOut, Logout, LogoutOutcome, PairingWanted, Refusal,
    RefusalCode,
};
pub use membership::{
    Beat, Beaten, Enlist, Enlisted, FEATURE_IDENTITY, Health, Held, Reported, Reports,
};
pub use snapshot::{
    Attempt, Identity, PairingCode, QrCode, Reason, Snapshot, Snapshots, Status, reason,
};

#[cfg(feature = "domain")]
pub mod convert;
