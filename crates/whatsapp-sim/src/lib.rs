//! A simulated WhatsApp network on loopback: the server side of the protocol, and phones that scan
//! QR codes, take pairing codes, unlink devices, kick them, and exchange messages with them.
//!
//! The simulator serves tests, benchmarks and demos of a gateway without WhatsApp. Clients need no
//! code of this crate: a client that speaks the protocol and trusts [`Simulator::trust_anchor`] can
//! link, log in, stay connected and log out.
//!
//! ```ignore
//! let simulator = Simulator::start(Config::default()).await?;
//! let phone = simulator.add_phone("15550000001", "Ann")?;
//! // … a client connects to `simulator.url()` and shows a QR code …
//! let device = phone.scan("2@…,…,…,…,9").await?;
//! assert!(phone.wait_connected(1, Duration::from_secs(30)).await);
//! phone.kick(device.id, Kick::Close)?;
//! bob.send(phone.number(), &OutgoingMessage::text("hello"))?;
//! phone.unlink(device.id)?;
//! ```
//!
//! The tests in `tests/` link and log in that way.
//!
//! [`Control`] offers the same over HTTP. [`Faults`] injects faults.

mod account;
mod address;
mod adv;
mod app_state;
mod certificate;
mod clock;
mod config;
mod control;
mod encoding;
mod error;
mod faults;
mod frames;
mod initial_sync;
mod journal;
mod keys;
mod kick;
mod link_code;
mod login;
mod login_refusal;
mod messaging;
mod network;
mod network_state;
mod noise;
mod phone;
mod prekeys;
mod qr;
mod queries;
mod registration;
mod server;
mod signal;
mod signal_store;
mod simulator;
mod socket;
mod stanza;
mod state_file;
mod unlink;
mod usync;
mod wire_log;

pub use account::{LinkedDevice, Observation};
pub use address::Addressing;
pub use config::Config;
pub use control::Control;
pub use error::{PhoneError, StartError};
pub use faults::{Fault, FaultRule, FaultTarget, Faults};
pub use kick::Kick;
pub use messaging::content::MessageContent;
pub use messaging::conversation::{ChatMessage, ReceiptRecord};
pub use messaging::outbox::OutgoingMessage;
pub use messaging::presence::Typing;
pub use phone::{Phone, PhoneChanges, PhoneState};
pub use simulator::Simulator;
pub use wire_log::{DeviceWire, Direction, WireRecord};
