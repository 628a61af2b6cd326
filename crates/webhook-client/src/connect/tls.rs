//! TLS settings of webhook connections.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};

use crate::host::Host;

/// Returns the certificate authorities of the machine and those of the crate `webpki-roots`.
/// Certificates that cannot be parsed are skipped.
pub fn default_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Creates the settings: TLS 1.2 and 1.3, no client certificate, and HTTP/1.1 as the only protocol.
pub(super) fn client_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    // The provider is explicit: rustls panics when two are compiled in and none is chosen.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Returns the name that the certificate must carry.
pub(super) fn server_name(host: &Host) -> Result<ServerName<'static>, String> {
    match host {
        Host::Name(name) => name.clone().try_into().map_err(|error| format!("{name}: {error}")),
        Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
    }
}
