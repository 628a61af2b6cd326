//! A node of berth: the program that holds WhatsApp connections.
//!
//! It obeys the newest epoch, reports what it sees, and knows nothing of organizations, keys or
//! people: those are its router's. The two speak the treaty in `gateway-protocol`.
//!
//! One session, from a command to WhatsApp and back: [`api`] reads the call, [`fleet`] finds the
//! session's actor, [`session`] decides, [`connection`] runs the engine, [`translate`] puts what the
//! engine says in our words, [`board`] shows it, [`outbox`] keeps it until [`reporter`] has told the
//! router.
//!
//! # Licence
//!
//! AGPL-3.0-only, unlike the rest of berth: it links the WhatsApp engine, whose Signal part
//! (`wacore-libsignal`) is derived from sources under AGPL-3.0-only, whatever its manifest declares.
//! That is why it is a program of its own and nothing else of berth links it, save the simulator.

mod api;
mod board;
mod cage;
mod config;
mod connection;
mod context;
mod fleet;
mod keys;
mod node;
mod outbox;
mod pairing;
mod refusal;
mod reporter;
mod router;
mod server;
mod session;
pub mod telemetry;
mod translate;
mod turns;
mod web;
mod wire;

pub use config::{Args, InvalidSetting, LogFormat, Settings};
pub use node::Node;
pub use wire::{TransportProvider, WebSocketProvider};

/// This build's version; one that only meets a simulated WhatsApp says so.
pub const VERSION: &str = if cfg!(feature = "sim") {
    concat!(env!("CARGO_PKG_VERSION"), "+sim")
} else {
    env!("CARGO_PKG_VERSION")
};

/// The program and its version.
pub(crate) fn program_version() -> String {
    format!("berth-gateway {VERSION}")
}
