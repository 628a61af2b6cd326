//! The configuration of a sender.

use std::net::SocketAddr;

use hyper::header::HeaderValue;
use rustls::RootCertStore;

use crate::{address::Allowed, limits::Limits};

/// The rules of the operator for webhook requests.
#[derive(Clone, Debug)]
pub struct Config {
    /// Private destinations that webhooks may reach.
    pub allowed: Allowed,
    /// Addresses that no webhook reaches, whatever is allowed: the listeners and the database of
    /// berth. An unspecified address, such as `0.0.0.0:8080`, stands for the port on this machine.
    pub denied: Vec<SocketAddr>,
    /// Certificate authorities that are trusted; [`default_roots`](crate::default_roots) in
    /// production.
    pub roots: RootCertStore,
    /// The header `User-Agent` of every request.
    pub user_agent: HeaderValue,
    /// Time limits and size limits.
    pub limits: Limits,
}
