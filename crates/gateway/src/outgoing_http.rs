//! The HTTP clients of the node, for its router and for WhatsApp.

use std::time::Duration;

use http_client::{HttpClient, Limits, RootCertStore, TlsError, system_roots};

/// Time limit of a request with its answer.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Time limit of a download from WhatsApp.
pub(crate) const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest download. A part of a phone's history has about a megabyte; compressed, the longest
/// conversation of an account can be far larger.
const MAX_DOWNLOAD: usize = 64 << 20;

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    idle: Duration::from_secs(30),
    idle_per_host: usize::MAX,
    response_bytes: 4 << 20,
};

/// The clients of a node.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingClients {
    /// For short answers, also of a router without authorities of its own.
    pub(crate) calls: HttpClient,
    /// For downloads from WhatsApp.
    pub(crate) downloads: HttpClient,
}

/// Returns the client of routers: `general`, or one that trusts these authorities alone.
pub(crate) fn router_client(
    general: &HttpClient,
    authorities: Option<RootCertStore>,
) -> Result<HttpClient, TlsError> {
    authorities.map_or_else(|| Ok(general.clone()), |roots| HttpClient::new(roots, LIMITS))
}

/// Creates clients that trust the certificates of the system and of the crate `webpki-roots`.
pub(crate) fn clients() -> Result<OutgoingClients, TlsError> {
    let mut roots = system_roots().unwrap_or_else(|_| RootCertStore::empty());
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let downloads = Limits { response_bytes: MAX_DOWNLOAD, ..LIMITS };
    Ok(OutgoingClients {
        calls: HttpClient::new(roots.clone(), LIMITS)?,
        downloads: HttpClient::new(roots, downloads)?,
    })
}
