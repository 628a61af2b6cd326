//! A whole node against a pretend WhatsApp and a pretend router, over HTTP alone.
//!
//! What pairs needs feature `sim`; what a build without it must refuse is tested in both.

#![allow(clippy::unwrap_used, reason = "what is missing in a test is a failed test")]

mod binary;
#[cfg(feature = "sim")]
mod calls;
#[cfg(feature = "sim")]
mod faults;
#[cfg(feature = "sim")]
mod kicks;
#[cfg(feature = "sim")]
mod life;
#[cfg(feature = "sim")]
mod membership;
#[cfg(feature = "sim")]
mod races;
#[cfg(feature = "sim")]
mod router;
#[cfg(feature = "sim")]
mod world;
