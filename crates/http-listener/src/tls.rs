//! TLS of a listener: handshakes within the limits of connections, and replaced certificates.
//!
//! Decision: ADR 0063.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustls::{ServerConfig, crypto::aws_lc_rs, sign::SingleCertAndKey};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::{
    certificate::{CertificateFault, CertificateFiles, FileContents, ServerCertificate},
    connections::ConnectionGuard,
    limits::Limits,
};

/// Interval in which the files of a certificate are read. A file system without modification times,
/// a symbolic link that changes its target, and a copy with an old time are no special cases.
const READ_INTERVAL: Duration = Duration::from_secs(60);
/// Minimum time between two warnings of an expiry.
const NOTICE_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// Unsent bytes of a connection that TLS buffers beyond those of the socket.
const BUFFER_BYTES: usize = 16 * 1024;

/// TLS with a certificate from files. While a listener runs, replaced files are in force within a
/// minute, for new connections. Files that cannot be used are logged and change nothing. Clones
/// share their certificate.
#[derive(Clone)]
pub struct ListenerTls {
    files: CertificateFiles,
    interval: Duration,
    current: Arc<Mutex<Current>>,
}

/// The certificate in force.
struct Current {
    acceptor: TlsAcceptor,
    certificate: ServerCertificate,
    contents: FileContents,
}

impl ListenerTls {
    /// Reads the certificate, and logs a warning if it expires soon or has expired.
    ///
    /// # Errors
    /// Fails like [`CertificateFiles::read`].
    pub fn new(files: CertificateFiles) -> Result<Self, CertificateFault> {
        let contents = files.contents()?;
        let certificate = files.parse(&contents)?;
        let acceptor = acceptor(&certificate)?;
        let current = Arc::new(Mutex::new(Current { acceptor, certificate, contents }));
        let this = Self { files, interval: READ_INTERVAL, current };
        this.warn_of_expiry();
        Ok(this)
    }

    /// Reads the files in this interval instead of once a minute.
    #[must_use]
    pub fn with_interval(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// Returns the certificate in force.
    pub fn certificate(&self) -> ServerCertificate {
        self.current().certificate.clone()
    }

    /// Returns the acceptor of the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.current().acceptor.clone()
    }

    /// Reads the files again and again, for ever.
    pub(crate) async fn watch_files(self) {
        let (mut fault, mut noticed_at) = (None, Instant::now());
        loop {
            sleep(self.interval).await;
            let this = self.clone();
            let Ok(outcome) = tokio::task::spawn_blocking(move || this.read_again()).await else {
                continue;
            };
            let path = self.files.certificate.display();
            match outcome {
                Ok(true) => {
                    let expires_at = self.certificate().expires_at();
                    tracing::info!(%path, %expires_at, "the TLS certificate was replaced");
                }
                Ok(false) => {}
                // Each fault is logged once, however long it lasts.
                Err(error) if fault.as_ref() == Some(&error) => continue,
                Err(error) => {
                    tracing::warn!(%error, "the TLS certificate is not replaced; the former one stays in force");
                    fault = Some(error);
                    continue;
                }
            }
            fault = None;
            if noticed_at.elapsed() >= NOTICE_INTERVAL {
                noticed_at = Instant::now();
                self.warn_of_expiry();
            }
        }
    }

    /// Reads the files. Returns whether they have changed and are in force.
    fn read_again(&self) -> Result<bool, CertificateFault> {
        let contents = self.files.contents()?;
        if self.current().contents == contents {
            return Ok(false);
        }
        let certificate = self.files.parse(&contents)?;
        let acceptor = acceptor(&certificate)?;
        *self.current() = Current { acceptor, certificate, contents };
        self.warn_of_expiry();
        Ok(true)
    }

    fn warn_of_expiry(&self) {
        if let Some(notice) = self.certificate().expiry_notice() {
            tracing::warn!(path = %self.files.certificate.display(), "{notice}");
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListenerTls").field("files", &self.files).finish_non_exhaustive()
    }
}

/// Returns an acceptor for TLS 1.2 and 1.3 that agrees on HTTP/1.1 only. Sessions of TLS end with
/// the acceptor, so that each replaced certificate is presented.
fn acceptor(certificate: &ServerCertificate) -> Result<TlsAcceptor, CertificateFault> {
    // The provider is explicit: rustls panics when two are compiled in and none is chosen.
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| CertificateFault::Certificate(format!("no TLS: {error}")))?;
    let resolver = Arc::new(SingleCertAndKey::from(certificate.key.clone()));
    let mut config = config.with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Makes the handshake of a new connection, within the time that a connection may take until its
/// first request. Returns `None` when the peer fails, is too slow, or speaks another protocol; when
/// the connection is evicted; and when the listener stops.
pub(crate) async fn handshake(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    guard: &ConnectionGuard,
    limits: &Limits,
    stop: &CancellationToken,
) -> Option<TlsStream<TcpStream>> {
    let peer = stream.peer_addr().ok();
    let deadline = guard.activity.last_progress() + limits.first_request;
    let bound = |connection: &mut rustls::ServerConnection| {
        connection.set_buffer_limit(Some(BUFFER_BYTES));
    };
    let accepted = tokio::select! {
        biased;
        () = stop.cancelled() => return None,
        () = guard.activity.ended() => return None,
        accepted = timeout_at(deadline, acceptor.accept_with(stream, bound)) => accepted,
    };
    match accepted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::debug!(?peer, %error, "a TLS handshake failed");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::TestAuthority;

    #[test]
    fn broken_files_change_nothing_until_they_are_a_pair() {
        let (authority, folder) = (TestAuthority::default(), tempfile::tempdir().unwrap());
        let files = authority.write(folder.path(), "a", &["a.example"]);
        let tls = ListenerTls::new(files.clone()).unwrap();
        let first = tls.certificate().key.cert;
        let former = fs::read(&files.certificate).unwrap();
        assert_eq!(tls.read_again(), Ok(false));
        let (certificate, key) = authority.issue(&["b.example"], 3000);
        for text in ["", "no certificate", &certificate] {
            fs::write(&files.certificate, text).unwrap();
            assert!(tls.read_again().is_err(), "{text}");
            assert_eq!(tls.certificate().key.cert, first);
        }
        fs::write(&files.certificate, &former).unwrap();
        assert_eq!(tls.read_again(), Ok(false));
        fs::write(&files.certificate, certificate).unwrap();
        fs::write(&files.key, key).unwrap();
        assert_eq!(tls.read_again(), Ok(true));
        assert!(tls.certificate().names("b.example") && !tls.certificate().names("a.example"));
        assert_eq!(tls.read_again(), Ok(false));
    }
}
