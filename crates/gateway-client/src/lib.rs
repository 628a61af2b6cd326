//! The domain's [`SessionControl`](domain::ports::SessionControl) port over the HTTP calls of the
//! protocol.
//!
//! Every call has a deadline and a limit on its response, and the client never retries a call. Only
//! the reconciler repeats a command that may have reached the node, after it has read the state.

mod client;
mod config;
mod http;
mod refusal;

pub use client::Client;
pub use config::{Config, NodeTokens};
pub use http_client::TlsError;
