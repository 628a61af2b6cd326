//! An authority that issues certificates, for tests of TLS listeners.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::certificate::CertificateFiles;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// An authority with a new key and a name of its own.
pub struct TestAuthority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Default for TestAuthority {
    fn default() -> Self {
        let mut of = CertificateParams::default();
        // Authorities of the same name would be told apart by their signatures only.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        of.distinguished_name.push(DnType::CommonName, format!("authority {number}"));
        of.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = of.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(of, key), pem }
    }
}

impl TestAuthority {
    /// Returns the certificate of the authority in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Returns a certificate for these names, and its key, in PEM. The certificate expires on the
    /// first day of the year.
    pub fn issue(&self, names: &[&str], expires: i32) -> (String, String) {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut of = CertificateParams::new(names).unwrap();
        of.not_after = date_time_ymd(expires, 1, 1);
        let key = KeyPair::generate().unwrap();
        (of.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Writes a certificate for these names that expires in the year 3000, and its key, into a
    /// folder, as `NAME.pem` and `NAME.key`.
    pub fn write(&self, folder: &Path, name: &str, names: &[&str]) -> CertificateFiles {
        let (certificate, key) = self.issue(names, 3000);
        let files = CertificateFiles {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        files
    }
}
