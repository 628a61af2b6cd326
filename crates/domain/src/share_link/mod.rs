//! Share links: a person without a credential links one phone to one session.
//!
//! Decision: ADR 0056.

pub(crate) mod holder;
pub(crate) mod method;
pub(crate) mod model;
pub(crate) mod owned_links;
pub(crate) mod pairing_end;
pub(crate) mod progress;
pub(crate) mod redemption;
pub(crate) mod revocation_cause;
pub(crate) mod service;
pub(crate) mod spec;
pub(crate) mod write;
