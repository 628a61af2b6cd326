//! The HTTP client of the node, for its router and for WhatsApp's web page.

use std::time::Duration;

use http_client::{HttpClient, Limits, RootCertStore, TlsError, system_roots};

/// Time limit of a request with its answer.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    idle: Duration::from_secs(30),
    idle_per_host: usize::MAX,
    response_bytes: 4 << 20,
};

/// Creates a client that trusts the certificates of the system and of the crate `webpki-roots`.
pub(crate) fn client() -> Result<HttpClient, TlsError> {
    let mut roots = system_roots().unwrap_or_else(|_| RootCertStore::empty());
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    HttpClient::new(roots, LIMITS)
}
