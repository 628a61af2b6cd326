//! The HTTP face over real sockets and memory stores: what callers, strangers and nodes get.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what is not as expected fails the test, also in what several tests share"
)]

mod api_keys;
mod authorization;
mod bad_input;
mod bounds;
mod callers;
mod client;
mod conditions;
mod conformity;
mod document;
mod documentation;
mod door;
mod filters;
mod hand;
mod health;
mod house;
mod idempotency;
mod leftovers;
mod matrix;
mod mutations;
mod nodes;
mod patches;
mod quotas;
mod rates;
mod reading_back;
mod sessions;
mod shares;
mod strangers;
mod walk;
