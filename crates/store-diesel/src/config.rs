//! What the operator says about the database: where it is, and how long to wait for it.

use std::time::Duration;

use secrecy::SecretString;

/// Where the database is and how long to wait for it.
///
/// # The URL
///
/// `sqlite:PATH` is a file, made when it is missing, its folder too.
///
/// `postgres://USER:PASSWORD@HOST:PORT/NAME` (or `postgresql://`) is a PostgreSQL server. Special
/// characters in the password are percent-encoded. Of the usual parameters these decide about TLS:
///
/// | `sslmode` | meaning |
/// | --- | --- |
/// | `disable` | never encrypted |
/// | `prefer` | encrypted when the server offers it, without verifying whom it is |
/// | `require` | encrypted or not at all; whom it is is not verified, unless `sslrootcert` is given: then as `verify-ca` |
/// | `verify-ca` | encrypted, and the server's certificate comes from a trusted authority |
/// | `verify-full` | besides, the certificate is for this host |
///
/// Without `sslmode` a server on this machine (a loopback address, `localhost`, a Unix socket) gets
/// `prefer` and any other `verify-full`, so that a forgotten parameter never means a readable
/// password on a network. `sslrootcert` names a PEM file of trusted authorities; without it, and
/// with `system`, the machine's own are trusted. A self-signed certificate of the server itself is
/// no authority: make one, and have it sign the server's.
///
/// Several hosts may be named; the first that takes writes is used, unless `target_session_attrs=any`
/// is given.
///
/// Time limits are set by statements on each connection, unless `options` in the URL sets them. A pooler
/// between berth and the server must be in session mode; transaction mode is refused at start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where: see above. It may hold a password, hence secret.
    pub url: SecretString,
    /// At most so many connections at once. On SQLite one of them writes, the others read. PostgreSQL
    /// has a few more besides: four at most for rows looked up by their keys, and four for changes that
    /// come at once.
    pub max_connections: u32,
    /// How long a request waits for a free connection.
    pub acquire_timeout: Duration,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long a request waits for the database's answer, the wait for a connection included.
    pub deadline: Duration,
}

impl Config {
    /// This database, with the usual patience: an answer or "unavailable" within four seconds.
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
