//! A testbed for the programs from the outside: builds, starts and stops them, and speaks to them
//! as clients, phones and operators do.
//!
//! The testbed depends on no crate of the programs, so that a tool verifies the programs and not
//! their sources.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the tools report on the terminal")]

pub mod checks;
pub mod client;
pub mod event_stream;
pub mod folder;
pub mod http;
pub mod interrupt;
pub mod issuer;
mod issuer_flow;
pub mod messenger;
pub mod options;
pub mod parallel;
pub mod phone_messages;
pub mod phones;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod processor;
pub mod programs;
pub mod python;
pub mod random;
pub mod receiver;
pub mod resident;
pub mod router;
pub mod sessions;
pub mod simulated_network;
pub mod simulated_whatsapp;
pub mod stack;
pub mod wait;
pub mod webhook;
pub mod workspace;
