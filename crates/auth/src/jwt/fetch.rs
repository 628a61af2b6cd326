//! How the text of a key set is got: over HTTP or from a file, bounded in time and size.
//!
//! No redirect is followed: the keys come from where the operator said, or not at all.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use domain::ports::BoxError;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{Request, Response, Uri, body::Incoming, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::TokioExecutor,
};
use tokio::io::AsyncReadExt;

use super::{config::ConfigError, key_set::KeySetError};

/// A key takes half a kilobyte, with its certificates a few.
const LONGEST: u64 = 512 * 1024;

/// Why the key set was not got.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Too slow.
    #[error("no key set within {0:?}")]
    TimedOut(Duration),
    /// Not there.
    #[error("the issuer cannot be reached")]
    Unreachable(#[source] BoxError),
    /// Not what was asked for.
    #[error("the issuer answered with status {0} (redirects are not followed)")]
    Status(u16),
    /// Longer than any key set.
    #[error("the key set is longer than {LONGEST} bytes")]
    TooLong,
    /// The file cannot be read.
    #[error("the file cannot be read")]
    File(#[source] std::io::Error),
    /// It came, but it is not a key set.
    #[error("what came is not usable as a key set")]
    Content(#[source] KeySetError),
}

/// Gets the text of a key set.
pub(crate) struct Fetcher {
    from: From,
    deadline: Duration,
}

enum From {
    Https(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>, Uri),
    Http(Client<HttpConnector, Empty<Bytes>>, Uri),
    File(PathBuf),
}

impl Fetcher {
    /// Fetches from a URL, over TLS with the machine's certificate authorities if it is `https`.
    pub(crate) fn of_url(uri: Uri, deadline: Duration) -> Result<Self, ConfigError> {
        if uri.scheme_str() != Some("https") {
            let from = From::Http(client(connector(deadline)), uri);
            return Ok(Self { from, deadline });
        }
        // Named here, so that a second provider in the program cannot make the choice ambiguous.
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider);
        Ok(Self::over_tls(tls.map_err(ConfigError::NoRoots)?, uri, deadline))
    }

    fn over_tls(tls: HttpsConnectorBuilder<WantsSchemes>, uri: Uri, deadline: Duration) -> Self {
        let mut http = connector(deadline);
        http.enforce_http(false);
        let tls = tls.https_only().enable_http1().wrap_connector(http);
        Self { from: From::Https(client(tls), uri), deadline }
    }

    /// Reads a file.
    pub(crate) fn of_file(path: PathBuf, deadline: Duration) -> Self {
        Self { from: From::File(path), deadline }
    }

    /// The text as it is now.
    pub(crate) async fn fetch(&self) -> Result<Bytes, FetchError> {
        let work = async {
            match &self.from {
                From::Https(client, uri) => body(client.request(get(uri)?).await).await,
                From::Http(client, uri) => body(client.request(get(uri)?).await).await,
                From::File(path) => read(path).await,
            }
        };
        let late = FetchError::TimedOut(self.deadline);
        tokio::time::timeout(self.deadline, work).await.map_err(|_| late)?
    }
}

fn connector(deadline: Duration) -> HttpConnector {
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(deadline));
    http
}

/// Keeps no connection: fetches are minutes apart.
fn client<C: Connect + Clone>(connector: C) -> Client<C, Empty<Bytes>> {
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)
}

fn get(uri: &Uri) -> Result<Request<Empty<Bytes>>, FetchError> {
    Request::get(uri)
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .header(header::USER_AGENT, concat!("berth/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())
        .map_err(|error| FetchError::Unreachable(error.into()))
}

async fn body<E: Into<BoxError>>(
    answer: Result<Response<Incoming>, E>,
) -> Result<Bytes, FetchError> {
    let answer = answer.map_err(|error| FetchError::Unreachable(error.into()))?;
    if !answer.status().is_success() {
        return Err(FetchError::Status(answer.status().as_u16()));
    }
    let longest = usize::try_from(LONGEST).unwrap_or(usize::MAX);
    let body = Limited::new(answer.into_body(), longest).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            FetchError::TooLong
        } else {
            FetchError::Unreachable(error)
        }
    })
}

async fn read(path: &PathBuf) -> Result<Bytes, FetchError> {
    let file = tokio::fs::File::open(path).await.map_err(FetchError::File)?;
    let mut text = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut text).await.map_err(FetchError::File)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > LONGEST) {
        return Err(FetchError::TooLong);
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    /// A TLS server for `localhost` that answers every request alike; its port and certificate.
    async fn server() -> (u16, CertificateDer<'static>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
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
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = HttpsConnectorBuilder::new().with_tls_config(config);
        Fetcher::over_tls(tls, url.parse().unwrap(), DEADLINE)
    }

    #[tokio::test]
    async fn keys_come_over_tls_from_the_named_host_alone() {
        let (port, certificate) = server().await;
        let good = trusting(certificate.clone(), &format!("https://localhost:{port}/jwks"));
        assert_eq!(good.fetch().await.unwrap(), "keys");
        let other_name = trusting(certificate, &format!("https://127.0.0.1:{port}/jwks"));
        assert!(matches!(other_name.fetch().await, Err(FetchError::Unreachable(_))));
    }

    #[tokio::test]
    async fn a_certificate_that_the_machine_does_not_trust_is_refused() {
        let (port, _) = server().await;
        let url = format!("https://localhost:{port}/jwks").parse().unwrap();
        let fetched = match Fetcher::of_url(url, DEADLINE) {
            Ok(fetcher) => fetcher.fetch().await,
            // A machine without certificate authorities is told so at start.
            Err(ConfigError::NoRoots(_)) => return,
            Err(other) => panic!("{other}"),
        };
        assert!(matches!(fetched, Err(FetchError::Unreachable(_))), "{fetched:?}");
    }

    #[tokio::test]
    async fn a_peer_that_never_answers_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let fetcher = Fetcher::of_url(url, Duration::from_millis(20)).unwrap();
        assert!(matches!(fetcher.fetch().await, Err(FetchError::TimedOut(_))));
    }
}
