//! The certificate authorities of the machine, or of a file.

use std::{
    fs::File,
    io::{self, Error, ErrorKind, Read as _},
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
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

/// A file of certificate authorities cannot be used. The message is one sentence that names the file.
#[derive(Debug, thiserror::Error)]
#[error("{} {reason}", path.display())]
pub struct InvalidRoots {
    path: PathBuf,
    reason: String,
}

/// The maximum length of a file of authorities; that of a Linux distribution has about 200 kB.
const MAX_ROOTS_BYTES: u64 = 4 * 1024 * 1024;

/// Returns the certificate authorities in a file of PEM certificates, each of which must be valid.
///
/// # Errors
/// If the file cannot be read, has no certificate, or has an invalid one.
pub fn roots_in_file(path: &Path) -> Result<RootCertStore, InvalidRoots> {
    let invalid = |reason: String| InvalidRoots { path: path.to_owned(), reason };
    let text = read(path).map_err(|error| invalid(format!("cannot be read: {error}")))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let wrong =
            |error: &dyn std::fmt::Display| invalid(format!("has an invalid certificate: {error}"));
        roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() { Err(invalid("has no certificate in PEM".to_owned())) } else { Ok(roots) }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_ROOTS_BYTES + 1).read_to_end(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_ROOTS_BYTES) {
        return Err(Error::new(ErrorKind::FileTooLarge, "the file is longer than 4 MiB"));
    }
    Ok(text)
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
