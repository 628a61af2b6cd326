//! The domain's ports [`SessionControl`](domain::ports::SessionControl) and
//! [`MessagingControl`](domain::ports::MessagingControl) over the HTTP calls of the protocol.
//!
//! Every call has a deadline and a limit on its response, and the client never retries a call. Only
//! the reconciler repeats a command that may have reached the node, after it has read the state, and
//! only the outbox repeats a message, under the same id.

mod certificate_log;
mod client;
mod config;
mod http;
mod messaging;
mod refusal;

pub use client::Client;
pub use config::{Config, NodeTokens};
pub use http_client::TlsError;
