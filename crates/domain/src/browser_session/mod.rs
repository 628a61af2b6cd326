//! Sessions of browsers: logins that a cookie stands for.
//!
//! Decision: ADR 0055.

pub(crate) mod digest;
pub(crate) mod model;
pub(crate) mod service;
