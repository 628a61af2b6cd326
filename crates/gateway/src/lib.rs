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
mod config;
mod connection;
mod context;
mod data_folder;
mod engine_events;
mod engine_runtime;
mod fair_permits;
mod fleet;
mod forgotten_sessions;
mod http_client;
mod keys;
mod node;
mod outbox;
mod pairing_attempt;
mod reasons;
mod refusal;
mod reporter;
mod router_client;
mod server;
mod session;
mod session_name;
mod session_state;
pub mod telemetry;
mod version;
mod whatsapp_transport;

pub use config::{Args, InvalidSetting, LogFormat, Settings};
pub use node::Node;
pub use version::VERSION;
pub use whatsapp_transport::{TransportProvider, WebSocketProvider};
