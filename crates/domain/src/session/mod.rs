//! A session: one attached, or to-be-attached, WhatsApp number.
//!
//! What is wanted of it and what was seen of it are two things. Callers change what is wanted,
//! gateways' reports change what was seen, and only the [reconciler](crate::reconcile) compares them.

pub(crate) mod change;
pub(crate) mod deletion;
pub(crate) mod lifecycle;
pub(crate) mod model;
pub(crate) mod observe;
pub(crate) mod observed;
pub(crate) mod pairing;
pub(crate) mod pairing_service;
pub(crate) mod partial_session;
pub(crate) mod service;
pub(crate) mod settings;
pub(crate) mod spec;
pub(crate) mod status;
pub(crate) mod system_transitions;
pub(crate) mod unlink;
pub(crate) mod version;
