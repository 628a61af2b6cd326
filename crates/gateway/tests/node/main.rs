//! Tests of a whole node against a simulated WhatsApp and a fake router, over HTTP only.
//!
//! Tests that pair need feature `sim`. Settings that a build without the feature must reject are
//! tested in both builds.

#![allow(clippy::unwrap_used, reason = "a missing value in a test is a failed test")]

#[cfg(feature = "sim")]
mod api;
#[cfg(feature = "sim")]
mod disconnects;
mod doctor;
#[cfg(feature = "sim")]
mod fake_router;
#[cfg(feature = "sim")]
mod faults;
#[cfg(feature = "sim")]
mod fixture;
mod health;
#[cfg(feature = "sim")]
mod inbound;
mod journal_log;
#[cfg(feature = "sim")]
mod kills;
#[cfg(feature = "sim")]
mod lifecycle;
#[cfg(feature = "sim")]
mod membership;
#[cfg(feature = "sim")]
mod operators;
#[cfg(feature = "sim")]
mod outages;
#[cfg(feature = "sim")]
mod outbound;
mod program;
#[cfg(feature = "sim")]
mod races;
#[cfg(feature = "sim")]
mod restored;
mod tls;
#[cfg(feature = "sim")]
mod wait;
