//! Laws that need more than one crate, or keys to sign with; the others are in the crates themselves.

pub mod login;
pub mod reports;

#[path = "../../crates/auth/tests/auth/signer.rs"]
#[allow(dead_code, reason = "auth's tests sign more than is signed here")]
mod signer;

/// What the signer of auth's tests stands on.
mod world {
    /// When the domain's test clock begins, in seconds.
    pub(crate) const NOW: i64 = 1_767_254_400;
}
