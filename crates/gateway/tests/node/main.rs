//! A whole node against a pretend WhatsApp and a pretend router, over HTTP alone.
//!
//! What pairs needs feature `sim`; what a build without it must refuse is tested in both.

#![allow(clippy::unwrap_used, reason = "what is missing in a test is a failed test")]

#[cfg(feature = "sim")]
mod api;
#[cfg(feature = "sim")]
mod common;
#[cfg(feature = "sim")]
mod disconnects;
#[cfg(feature = "sim")]
mod fake_router;
#[cfg(feature = "sim")]
mod faults;
#[cfg(feature = "sim")]
mod fixture;
#[cfg(feature = "sim")]
mod lifecycle;
#[cfg(feature = "sim")]
mod membership;
mod program;
#[cfg(feature = "sim")]
mod races;
