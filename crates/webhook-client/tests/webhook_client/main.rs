//! Attempts against receivers on loopback, most of them hostile.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "an unexpected result fails the test")]

mod addresses;
mod connections;
mod names;
mod receiver;
mod responses;
mod sockets;
mod tls;
mod world;
