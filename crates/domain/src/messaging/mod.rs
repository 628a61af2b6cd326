//! The state of a session's messages: what nodes deliver, and how a delivery changes the state.
//!
//! A node writes what WhatsApp sends into a journal and delivers the journal at least once. A
//! decision about a delivery is a pure function of the stored state, and its commit is guarded by
//! the version of the session's row of counters, which message traffic changes instead of the
//! session.

pub(crate) mod change;
pub(crate) mod chats;
pub(crate) mod draft;
pub(crate) mod journal;
pub(crate) mod levels;
pub(crate) mod messages;
pub(crate) mod payloads;
pub(crate) mod service;
pub(crate) mod session_lookup;
pub(crate) mod state;
pub(crate) mod turns;
