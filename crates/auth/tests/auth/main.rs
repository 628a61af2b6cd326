//! Tests of the authenticator through its public API: real signatures, an issuer on a loopback
//! socket, and a corpus of tokens that must be refused.

#![allow(
    clippy::unwrap_used,
    reason = "the whole binary is tests; clippy knows only #[test] functions"
)]

mod algorithms;
mod api_keys;
mod forged;
mod hostile;
mod issuer;
mod key_cache;
mod key_sets;
mod oidc;
mod oidc_issuer;
mod presets;
mod shapes;
mod signer;
mod start;
mod tokens;
mod world;
