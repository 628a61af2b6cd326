//! The worker over memory stores and a gateway that remembers: sessions end where they should.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fairness;
mod fleet;
mod laws;
mod nodes;
mod orphans;
mod receipts;
mod retirements;
mod sessions;
mod stage;
mod town;
