//! Tests of each `sslmode` with a server that offers TLS and one that does not.

use std::{path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use store_diesel::{Config, Database, StoreError};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use crate::{place::TestDatabase, proxy::Proxy};

/// A certificate authority with its certificate in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("written");
        Self { issuer, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Returns a TLS server whose certificate names this host.
    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key");
        TlsAcceptor::from(Arc::new(config))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Encrypted,
    Plain,
    Refused,
}

/// Opens the database and returns the result together with the observed encryption.
async fn outcome(test_db: &TestDatabase, tls: Option<TlsAcceptor>, parameters: &str) -> Outcome {
    let proxy = Proxy::new(test_db.port(), tls).await;
    let url = test_db.url_at("localhost", proxy.port, &format!("hostaddr=127.0.0.1&{parameters}"));
    let opened = Database::connect(&Config::new(url)).await;
    if let Ok(store) = &opened {
        store.ping(domain::Timestamp::from_millis(1)).await.expect("it answers");
    }
    match (opened, proxy.observed.plain_and_encrypted()) {
        (Ok(_), (0, 1..)) => Outcome::Encrypted,
        (Ok(_), (1.., 0)) => Outcome::Plain,
        (Err(StoreError::Unavailable(_)), (0, _)) => Outcome::Refused,
        other => panic!("{parameters}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sslmode_decides_with_a_server_that_offers_tls() {
    let test_db = TestDatabase::postgres().await;
    let (ours, other) = (Authority::new(), Authority::new());
    let root = |authority: &Authority| format!("sslrootcert={}", authority.file().display());
    let (ours_root, other_root) = (root(&ours), root(&other));
    let cases = [
        ("sslmode=disable", "localhost", Outcome::Plain),
        ("", "localhost", Outcome::Encrypted),
        ("sslmode=prefer", "wrong.example", Outcome::Encrypted),
        ("sslmode=require", "wrong.example", Outcome::Encrypted),
        (&format!("sslmode=require&{ours_root}"), "wrong.example", Outcome::Encrypted),
        (&format!("sslmode=require&{other_root}"), "localhost", Outcome::Refused),
        (&format!("sslmode=verify-ca&{ours_root}"), "wrong.example", Outcome::Encrypted),
        (&format!("sslmode=verify-ca&{other_root}"), "localhost", Outcome::Refused),
        (&format!("sslmode=verify-full&{ours_root}"), "localhost", Outcome::Encrypted),
        (&format!("sslmode=verify-full&{ours_root}"), "wrong.example", Outcome::Refused),
        (&format!("sslmode=verify-full&{other_root}"), "localhost", Outcome::Refused),
        (&ours_root, "localhost", Outcome::Encrypted),
        (&ours_root, "wrong.example", Outcome::Refused),
    ];
    for (parameters, name, expected) in cases {
        let found = outcome(&test_db, Some(ours.acceptor(name)), parameters).await;
        assert_eq!(found, expected, "{parameters} with a certificate for {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn required_tls_fails_with_a_server_without_tls() {
    let test_db = TestDatabase::postgres().await;
    let authority = Authority::new();
    let root = format!("sslrootcert={}", authority.file().display());
    for (parameters, expected) in [
        ("", Outcome::Plain),
        ("sslmode=disable", Outcome::Plain),
        ("sslmode=prefer", Outcome::Plain),
        ("sslmode=require", Outcome::Refused),
        (&format!("sslmode=verify-ca&{root}"), Outcome::Refused),
        (&format!("sslmode=verify-full&{root}"), Outcome::Refused),
        (&root, Outcome::Refused),
    ] {
        assert_eq!(outcome(&test_db, None, parameters).await, expected, "{parameters}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn error_names_an_unreadable_certificate_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (missing, empty) = (folder.path().join("missing.pem"), folder.path().join("empty.pem"));
    std::fs::write(&empty, "nothing").expect("written");
    for file in [missing, empty] {
        let file = file.display().to_string();
        let url =
            format!("postgres://u:hunter2@localhost/d?sslmode=verify-full&sslrootcert={file}");
        let error = Database::connect(&Config::new(url)).await.unwrap_err().to_string();
        assert!(error.contains(&file) && !error.contains("hunter2"), "{error}");
    }
}
