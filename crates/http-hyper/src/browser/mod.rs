//! Browser sessions: the public URL, the same-origin check, cookies, and the dependencies of the operations
//! under `/auth/`.
//!
//! Decision: ADR 0055.

pub(crate) mod cookie;
pub(crate) mod dependencies;
mod login_failures;
pub(crate) mod login_flow;
pub(crate) mod public_url;
pub(crate) mod same_origin;
pub(crate) mod secret;
