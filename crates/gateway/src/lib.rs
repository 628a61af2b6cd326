//! A berth node: the program that holds WhatsApp connections.
//!
//! A node executes the commands with the newest epoch and reports the state of its sessions.
//! Organizations, API keys and people are known to the router only. Router and node speak the
//! protocol of the crate `gateway-protocol`.
//!
//! The path of one session, from a command to WhatsApp and back: [`api`] parses the call, [`fleet`]
//! finds the actor of the session, [`session`] decides, [`connection`] runs the engine,
//! [`engine_events`] translates the events of the engine, [`session_state`] publishes the state,
//! [`outbox`] keeps the snapshot until [`reporter`] has sent it to the router.
//!
//! # Licence
//!
//! AGPL-3.0-only, unlike the rest of berth: this crate links the WhatsApp engine, whose Signal part
//! (`wacore-libsignal`) is derived from sources under AGPL-3.0-only, whatever its manifest
//! declares. For this reason the node is a separate program, and no other part of berth except the
//! simulator links the engine.

mod api;
mod command_line;
mod config;
mod connection;
mod context;
mod data_folder;
mod deliverer;
mod engine_events;
mod engine_http_client;
mod engine_runtime;
mod fair_permits;
mod fleet;
mod forgotten_sessions;
mod journal;
mod keys;
mod log_format;
mod messaging;
mod node;
mod node_metrics;
pub mod operate;
mod ops;
mod outbox;
mod outgoing_http;
mod pairing_attempt;
mod reachability;
mod reasons;
mod reconnects;
mod refusal;
mod reporter;
mod response;
mod router_client;
mod session;
mod session_name;
mod session_state;
mod sqlite;
pub mod telemetry;
mod version;
mod whatsapp_transport;

pub use command_line::{
    BackupFlags, DataFolderFlags, DoctorFlags, HealthFlags, Invocation, NodeCommand, RestoreFlags,
    command,
};
pub use config::{Args, InvalidSetting, Settings, TlsArgs, TlsSettings};
pub use log_format::LogFormat;
pub use node::Node;
pub use operate::RestoredSession;
pub use version::VERSION;
pub use whatsapp_transport::{TransportProvider, WebSocketProvider};
