//! Sessions: one attached, or to-be-attached, WhatsApp number each.
//!
//! A session has a spec and an observed state. Callers change the spec, reports of gateways change
//! the observed state, and only the [reconciler](crate::reconcile) compares them.

pub(crate) mod change;
pub(crate) mod deletion;
pub(crate) mod figures;
pub(crate) mod lifecycle;
pub(crate) mod message_storage;
pub(crate) mod model;
pub(crate) mod observe;
pub(crate) mod observed;
pub(crate) mod owned_sessions;
pub(crate) mod pairing;
pub(crate) mod pairing_service;
pub(crate) mod partial_session;
pub(crate) mod service;
pub(crate) mod settings;
pub(crate) mod settings_field;
pub(crate) mod spec;
pub(crate) mod status;
pub(crate) mod system_transitions;
pub(crate) mod unlink;
pub(crate) mod version;
pub(crate) mod write;
