//! Support of the acceptance tests: deployments that tests share, HTTP/2, clients of event streams
//! (ours, a browser's and Python's), webhooks, network namespaces, and schemathesis.
//!
//! `cargo xtask contract` builds the programs, sets [`deployment::PROGRAMS`] and runs the tests in
//! one process. `cargo nextest run -p acceptance` runs each test in a process of its own, which
//! starts a deployment for every test.
//!
//! Decision: ADR 0011.

#![allow(clippy::print_stdout, reason = "tests print figures and the reason for a skip")]

pub mod browser;
pub mod deployment;
pub mod http2;
pub mod messenger;
pub mod name_server;
pub mod namespace;
mod python;
pub mod python_web_socket;
pub mod relay;
pub mod schemathesis;
pub mod signatures;
pub mod web_socket;

pub use testbed::webhook;
