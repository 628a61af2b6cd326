//! Decides which addresses berth connects to for a webhook.
//!
//! Decision: ADR 0039.

mod allowed;
mod embedded;
mod guard;
mod ranges;

pub(crate) use self::guard::{Guard, Verdict};
pub use self::{
    allowed::{Allowed, InvalidAllowEntry},
    guard::Forbidden,
};
