//! Webhooks: the model, the use cases, and the delivery of events.
//!
//! Decision: ADR 0043.

pub(crate) mod actions;
pub(crate) mod attempt;
pub(crate) mod credentials;
pub(crate) mod dead_letter;
pub(crate) mod delivery;
pub(crate) mod disabled_reason;
pub(crate) mod event_selection;
pub(crate) mod field;
pub(crate) mod model;
pub(crate) mod owned_webhooks;
pub(crate) mod progress;
pub(crate) mod replay;
pub(crate) mod reports;
pub(crate) mod retry_policy;
pub(crate) mod service;
pub(crate) mod settings;
pub(crate) mod update;
pub(crate) mod write;
