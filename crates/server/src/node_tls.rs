//! Opens the files of TLS between this router and the nodes.

use http_client::{RootCertStore, roots_in_file};
use http_hyper::{CertificateFault, CertificateFiles, ListenerTls};

use crate::{config::NodeTls, invalid::Invalid};

/// Returns TLS of the listener for nodes; `None` if the listener uses plain HTTP.
///
/// # Errors
/// Names the setting of a file that cannot be used.
pub(crate) fn listener(settings: &NodeTls) -> Result<Option<ListenerTls>, Invalid> {
    let Some(files) = &settings.certificate else { return Ok(None) };
    let tls = ListenerTls::new(files.clone()).map_err(invalid)?;
    let expires_at = tls.certificate().expires_at();
    let CertificateFiles { certificate, .. } = files;
    tracing::info!(path = %certificate.display(), expires_at, "the listener for nodes speaks TLS");
    Ok(Some(tls))
}

/// Returns the authorities of nodes in place of those of the system.
///
/// # Errors
/// Names the setting of a file that cannot be used.
pub(crate) fn authorities(settings: &NodeTls) -> Result<Option<RootCertStore>, Invalid> {
    let roots = settings.authorities.as_deref().map(roots_in_file).transpose();
    roots.map_err(|error| Invalid::setting("node_tls_ca", error))
}

/// Returns the error of a file, with the name of its setting.
pub(crate) fn invalid(fault: CertificateFault) -> Invalid {
    let setting = match &fault {
        CertificateFault::Certificate(_) => "node_tls_cert",
        CertificateFault::Key(_) => "node_tls_key",
    };
    Invalid::setting(setting, fault)
}
