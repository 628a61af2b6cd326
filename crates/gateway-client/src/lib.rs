//! The domain's [`SessionControl`](domain::ports::Gateway) port over the treaty's HTTP calls.
//!
//! Every call has a deadline, its answer a size limit, and no call is ever made twice: a command
//! that may have reached the node is repeated by the reconciler alone, which looks at the state
//! first.

mod client;
mod config;
mod http;
mod refusal;
mod tls;

pub use client::Client;
pub use config::{Config, NodeTokens};
