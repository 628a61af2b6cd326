//! Fetches the text of a key set over HTTP or from a file, bounded in time and size.
//!
//! Redirects are not followed: the keys come from the configured address or not at all.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use domain::ports::BoxError;
use http_client::{
    ClientError, HttpClient, Limits, NoRoots, RootCertStore, TlsError, system_roots,
};
use hyper::{Request, Uri, header};
use tokio::io::AsyncReadExt;

use super::key_set::KeySetError;

/// The maximum size of a key set in bytes. A key takes half a kilobyte, a few with certificates.
const MAX_LENGTH: usize = 512 * 1024;

/// Why a key set was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The fetch exceeded its deadline.
    #[error("no key set within {0:?}")]
    TimedOut(Duration),
    /// The connection failed.
    #[error("the issuer cannot be reached")]
    Unreachable(#[source] BoxError),
    /// The response is not a success.
    #[error("the issuer answered with status {0} (redirects are not followed)")]
    Status(u16),
    /// The response exceeds the size limit.
    #[error("the key set is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// The file cannot be read.
    #[error("the file cannot be read")]
    File(#[source] std::io::Error),
    /// The fetched text is not a key set.
    #[error("the fetched text cannot be used as a key set")]
    Content(#[source] KeySetError),
    /// The machine trusts no certificate authority.
    #[error(
        "https needs certificate authorities, and this machine has none: install them, or set SSL_CERT_FILE"
    )]
    NoRoots(#[source] NoRoots),
    /// TLS cannot be configured.
    #[error(transparent)]
    Tls(TlsError),
}

/// Fetches the text of a key set.
pub(super) struct Fetcher {
    origin: Origin,
    deadline: Duration,
}

enum Origin {
    Url(Box<HttpClient>, Uri),
    File(PathBuf),
}

impl Fetcher {
    /// Creates a fetcher for a URL. `https` uses the machine's certificate authorities.
    ///
    /// # Errors
    /// [`FetchError::NoRoots`], for an `https` URL only; [`FetchError::Tls`].
    pub(super) fn of_url(uri: Uri, deadline: Duration) -> Result<Self, FetchError> {
        let roots = match uri.scheme_str() {
            Some("https") => system_roots().map_err(FetchError::NoRoots)?,
            _ => RootCertStore::empty(),
        };
        Self::with_roots(roots, uri, deadline)
    }

    fn with_roots(roots: RootCertStore, uri: Uri, deadline: Duration) -> Result<Self, FetchError> {
        // No idle connections, because fetches are minutes apart.
        let limits = Limits {
            connect: deadline,
            idle: Duration::ZERO,
            idle_per_host: 0,
            response_bytes: MAX_LENGTH,
        };
        let client = HttpClient::new(roots, limits).map_err(FetchError::Tls)?;
        Ok(Self { origin: Origin::Url(Box::new(client), uri), deadline })
    }

    /// Creates a fetcher for a file.
    pub(super) fn of_file(path: PathBuf, deadline: Duration) -> Self {
        Self { origin: Origin::File(path), deadline }
    }

    /// Returns the current text of the key set.
    ///
    /// # Errors
    /// All of [`FetchError`] but `Content`, `NoRoots` and `Tls`.
    pub(super) async fn fetch(&self) -> Result<Bytes, FetchError> {
        match &self.origin {
            Origin::Url(client, uri) => {
                let response = client.fetch(get(uri)?, self.deadline).await;
                Ok(response.map_err(fetch_error)?.into_body())
            }
            Origin::File(path) => {
                let timed_out = |_| FetchError::TimedOut(self.deadline);
                tokio::time::timeout(self.deadline, read(path)).await.map_err(timed_out)?
            }
        }
    }
}

fn get(uri: &Uri) -> Result<Request<Bytes>, FetchError> {
    Request::get(uri)
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .header(header::USER_AGENT, concat!("berth/", env!("CARGO_PKG_VERSION")))
        .body(Bytes::new())
        .map_err(|error| FetchError::Unreachable(error.into()))
}

fn fetch_error(error: ClientError) -> FetchError {
    match error {
        ClientError::DeadlineExceeded(deadline) => FetchError::TimedOut(deadline),
        ClientError::ResponseTooLong(_) => FetchError::TooLong,
        ClientError::Status(status) => FetchError::Status(status.as_u16()),
        ClientError::Connect(source) | ClientError::Transport(source) => {
            FetchError::Unreachable(source)
        }
        error @ (ClientError::UntrustedCertificate(_) | ClientError::NoTls) => {
            FetchError::Unreachable(error.into())
        }
    }
}

async fn read(path: &PathBuf) -> Result<Bytes, FetchError> {
    let file = tokio::fs::File::open(path).await.map_err(FetchError::File)?;
    let mut text = Vec::new();
    file.take(MAX_LENGTH as u64 + 1).read_to_end(&mut text).await.map_err(FetchError::File)?;
    if text.len() > MAX_LENGTH {
        return Err(FetchError::TooLong);
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    /// Starts a TLS server for `localhost` that answers every request with the body `keys`. Returns
    /// its port and certificate.
    async fn server() -> (u16, CertificateDer<'static>) {
        let generated = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = generated.cert.der().clone();
        let key = PrivateKeyDer::try_from(generated.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nkeys").await;
            }
        });
        (port, certificate)
    }

    fn trusting(certificate: CertificateDer<'static>, url: &str) -> Fetcher {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        Fetcher::with_roots(roots, url.parse().unwrap(), DEADLINE).unwrap()
    }

    #[tokio::test]
    async fn tls_server_with_another_host_name_is_refused() {
        let (port, certificate) = server().await;
        let good = trusting(certificate.clone(), &format!("https://localhost:{port}/jwks"));
        assert_eq!(good.fetch().await.unwrap(), "keys");
        let other_name = trusting(certificate, &format!("https://127.0.0.1:{port}/jwks"));
        assert!(matches!(other_name.fetch().await, Err(FetchError::Unreachable(_))));
    }

    #[tokio::test]
    async fn untrusted_certificate_is_refused() {
        let (port, _) = server().await;
        let url = format!("https://localhost:{port}/jwks").parse().unwrap();
        let fetched = match Fetcher::of_url(url, DEADLINE) {
            Ok(fetcher) => fetcher.fetch().await,
            // The machine has no certificate authorities.
            Err(FetchError::NoRoots(_)) => return,
            Err(other) => panic!("{other}"),
        };
        assert!(matches!(fetched, Err(FetchError::Unreachable(_))), "{fetched:?}");
    }

    #[tokio::test]
    async fn silent_peer_times_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let fetcher = Fetcher::of_url(url, Duration::from_millis(20)).unwrap();
        assert!(matches!(fetcher.fetch().await, Err(FetchError::TimedOut(_))));
    }
}
