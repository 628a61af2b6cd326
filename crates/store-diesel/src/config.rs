//! The configuration of the store: the database URL, the number of connections and the time limits.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::database_url::servers;

/// The location of the database, the number of connections and the time limits.
///
/// # The URL
///
/// `sqlite:PATH` names a file. The store creates a missing file and its missing folder.
///
/// `postgres://USER:PASSWORD@HOST:PORT/NAME` (or `postgresql://`) names a PostgreSQL server.
/// Special characters in the password are percent-encoded. The parameter `sslmode` decides about
/// TLS:
///
/// | `sslmode` | meaning |
/// | --- | --- |
/// | `disable` | never encrypted |
/// | `prefer` | encrypted if the server offers TLS; the certificate is not verified |
/// | `require` | always encrypted; with `sslrootcert` as `verify-ca`, otherwise not verified |
/// | `verify-ca` | always encrypted; a trusted authority signed the certificate |
/// | `verify-full` | as `verify-ca`, and the certificate must name the host |
///
/// Without `sslmode`, a server on this machine (a loopback address, `localhost`, a Unix socket)
/// gets `prefer` and every other server `verify-full`, so that a forgotten parameter never sends a
/// readable password over a network. `sslrootcert` names a PEM file of trusted authorities. Without
/// the parameter, and with the value `system`, the authorities of the machine are trusted. A
/// self-signed server certificate is not an authority: create an authority and let it sign the
/// server's certificate.
///
/// The URL may name several hosts. The store uses the first host that accepts writes, unless the
/// URL contains `target_session_attrs=any`.
///
/// Statements on each new connection set the time limits, unless `options` in the URL sets them. A
/// pooler between berth and the server must be in session mode; the store rejects transaction mode
/// at start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database URL as described above; secret because the URL may contain a password.
    pub url: SecretString,
    /// Maximum number of connections. On SQLite one connection writes and the others read.
    /// PostgreSQL gets up to eight more: four for point lookups and four for batched writes.
    pub max_connections: u32,
    /// Maximum wait of a request for a free connection.
    pub acquire_timeout: Duration,
    /// Maximum time for opening a connection.
    pub connect_timeout: Duration,
    /// Maximum wait of a request for the database's answer, including the wait for a connection.
    pub deadline: Duration,
}

impl Config {
    /// Returns the database servers that the URL names, with their ports. None for SQLite and for
    /// Unix sockets.
    pub fn servers(&self) -> Vec<(String, u16)> {
        servers(self.url.expose_secret())
    }

    /// Returns a configuration with the default limits: 10 connections, and an answer or
    /// "unavailable" within 4 s.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            max_connections: 10,
            acquire_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(3),
            deadline: Duration::from_secs(4),
        }
    }
}
