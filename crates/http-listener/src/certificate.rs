//! The certificate of a TLS listener: two PEM files, checked as a pair, with the time of expiry.

use std::{
    fs::File,
    io::{self, Error, ErrorKind, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustls::{
    InconsistentKeys,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use x509_cert::{Certificate, der::Decode as _, time::Time};

/// The number of days before the expiry of a certificate from which programs warn. Renewal at two
/// thirds of a lifetime of 90 days, as certbot and cert-manager do it, leaves 30 days.
const EXPIRY_NOTICE_DAYS: i64 = 14;

/// The maximum length of a file; a chain of certificates has some kilobytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
const SECONDS_OF_A_DAY: i64 = 86_400;

/// The paths of a certificate chain, with the certificate of the listener first, and of its private
/// key, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// The private key, not encrypted.
    pub key: PathBuf,
}

/// The fault of a file. The reason is one sentence that names the file, and has no part of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// The certificate chain cannot be used.
    #[error("{0}")]
    Certificate(String),
    /// The private key cannot be used, or belongs to another certificate.
    #[error("{0}")]
    Key(String),
}

/// A certificate chain with its private key. `Debug` shows no key.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    pub(crate) key: CertifiedKey,
    not_before: Time,
    not_after: Time,
}

/// The bytes of both files.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FileContents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl CertificateFiles {
    /// Reads and checks both files. A certificate that has expired is not an error.
    ///
    /// # Errors
    /// If a file cannot be read, is empty or cannot be parsed, or if the key does not belong to the
    /// certificate.
    pub fn read(&self) -> Result<ServerCertificate, CertificateFault> {
        self.parse(&self.contents()?)
    }

    /// Reads both files without a check.
    pub(crate) fn contents(&self) -> Result<FileContents, CertificateFault> {
        let certificate = read(&self.certificate).map_err(CertificateFault::Certificate)?;
        Ok(FileContents { certificate, key: read(&self.key).map_err(CertificateFault::Key)? })
    }

    pub(crate) fn parse(
        &self,
        contents: &FileContents,
    ) -> Result<ServerCertificate, CertificateFault> {
        let chain = chain(&self.certificate, &contents.certificate)
            .map_err(CertificateFault::Certificate)?;
        let invalid = |reason: &dyn std::fmt::Display| {
            let path = self.certificate.display();
            CertificateFault::Certificate(format!("{path} has an invalid certificate: {reason}"))
        };
        let end_entity = chain.first().ok_or_else(|| invalid(&"the chain is empty"))?;
        let validity = Certificate::from_der(end_entity).map_err(|error| invalid(&error))?;
        let validity = validity.tbs_certificate.validity;
        ParsedCertificate::try_from(end_entity).map_err(|error| invalid(&error))?;
        let key = self.private_key(&contents.key)?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let key = key.map_err(|error| self.key_fault(&error))?;
        let (not_before, not_after) = (validity.not_before, validity.not_after);
        Ok(ServerCertificate { key, not_before, not_after })
    }

    fn private_key(&self, text: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateFault> {
        let path = self.key.display();
        PrivateKeyDer::from_pem_slice(text).map_err(|error| {
            CertificateFault::Key(match error {
                pem::Error::NoItemsFound => {
                    format!("{path} has no private key in PEM; an encrypted key cannot be used")
                }
                error => format!("{path} has an invalid private key: {error}"),
            })
        })
    }

    fn key_fault(&self, error: &rustls::Error) -> CertificateFault {
        let (key, certificate) = (self.key.display(), self.certificate.display());
        CertificateFault::Key(match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                format!(
                    "the key in {key} does not belong to the first certificate in {certificate}"
                )
            }
            error => format!("{key} has a private key that cannot be used: {error}"),
        })
    }
}

impl ServerCertificate {
    /// Returns the time of expiry, such as `2027-01-31T00:00:00Z`.
    pub fn expires_at(&self) -> String {
        self.not_after.to_string()
    }

    /// Returns the number of whole days until the expiry; negative for a certificate that has
    /// expired.
    pub fn days_left(&self) -> i64 {
        self.days_left_at(Duration::from_secs(UnixTime::now().as_secs()))
    }

    fn days_left_at(&self, now: Duration) -> i64 {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let left = seconds(self.not_after.to_unix_duration()).saturating_sub(seconds(now));
        left.div_euclid(SECONDS_OF_A_DAY)
    }

    /// Returns a sentence on a certificate that peers reject now or soon: expired, not yet valid, or
    /// with less than 14 days left.
    pub fn expiry_notice(&self) -> Option<String> {
        self.expiry_notice_at(Duration::from_secs(UnixTime::now().as_secs()))
    }

    fn expiry_notice_at(&self, now: Duration) -> Option<String> {
        let days = self.days_left_at(now);
        if self.not_before.to_unix_duration() > now {
            Some(format!("the certificate is not valid before {}", self.not_before))
        } else if days < 0 {
            Some(format!("the certificate expired at {}", self.not_after))
        } else if days < EXPIRY_NOTICE_DAYS {
            Some(format!("the certificate expires in {days} days, at {}", self.not_after))
        } else {
            None
        }
    }

    /// Returns whether peers reject the certificate now, because its validity has ended or has not
    /// begun.
    pub fn is_rejected_now(&self) -> bool {
        let now = Duration::from_secs(UnixTime::now().as_secs());
        self.not_before.to_unix_duration() > now || self.not_after.to_unix_duration() < now
    }

    /// Returns whether the certificate names this host: a DNS name or an IP address, without a
    /// port. Only subject alternative names count (RFC 9525).
    pub fn names(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let Ok(name) = ServerName::try_from(host) else { return false };
        let certificate = self.key.end_entity_cert().ok();
        let certificate = certificate.and_then(|der| ParsedCertificate::try_from(der).ok());
        certificate.is_some_and(|of| rustls::client::verify_server_name(&of, &name).is_ok())
    }
}

/// Reads a file of limited length.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
            return Err(Error::new(ErrorKind::FileTooLarge, "the file is longer than 1 MiB"));
        }
        Ok(bytes)
    };
    bytes().map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// Returns the certificates of a PEM file, of which there is at least one.
fn chain(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let path = path.display();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(format!("{path} has no certificate in PEM")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("{path} has an invalid certificate: {error}")),
    }
}

#[cfg(test)]
mod tests;
