//! The certificate authorities of the machine.

use rustls::RootCertStore;
use rustls_native_certs::CertificateResult;

/// The machine has no certificate authority that can be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "no valid certificate authority on this machine ({invalid} invalid certificates, errors: {errors:?})"
)]
pub struct NoRoots {
    invalid: usize,
    errors: Vec<rustls_native_certs::Error>,
}

/// Returns the certificate authorities that the machine trusts. The variables `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` replace those of the system. Certificates that cannot be parsed are skipped.
///
/// # Errors
/// If no authority remains.
pub fn system_roots() -> Result<RootCertStore, NoRoots> {
    let mut roots = RootCertStore::empty();
    let CertificateResult { certs, errors, .. } = rustls_native_certs::load_native_certs();
    let (_, invalid) = roots.add_parsable_certificates(certs);
    if roots.is_empty() { Err(NoRoots { invalid, errors }) } else { Ok(roots) }
}
