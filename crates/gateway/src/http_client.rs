//! Outgoing HTTP of the node: to its router, and to WhatsApp's web page for the engine.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::Instant;
use wacore::net::{HttpClient, HttpRequest, HttpResponse};

/// Size limit of an answer, in bytes.
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// Time limit of a request with its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// An HTTPS client with a time limit and a size limit.
#[derive(Clone, Debug)]
pub(crate) struct HttpsClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpsClient {
    /// Creates a client that trusts the certificates of the system and of the crate `webpki-roots`.
    pub(crate) fn new() -> Result<Self, rustls::Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(Duration::from_secs(5)));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { client })
    }

    /// Sends a request and reads the whole answer within [`REQUEST_TIMEOUT`].
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let exchange = async {
            let answer = self.client.request(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
            anyhow::Ok((status, body))
        };
        tokio::time::timeout(REQUEST_TIMEOUT, exchange).await?
    }
}

/// TTL of a cached page.
const PAGE_TTL: Duration = Duration::from_secs(600);

/// The HTTP client of the engine, which fetches the current version of WhatsApp Web for linking.
/// Every session requests the version, so that one cached answer serves all sessions; an expired
/// page is used if no new one can be fetched. Without an [`HttpsClient`], as on the simulator,
/// every request fails.
#[derive(Debug, Default)]
pub(crate) struct EngineHttpClient {
    pub(crate) https: Option<HttpsClient>,
    cached: tokio::sync::Mutex<Option<CachedPage>>,
}

#[derive(Debug)]
struct CachedPage {
    url: String,
    at: Instant,
    page: HttpResponse,
}

impl EngineHttpClient {
    pub(crate) fn new(https: Option<HttpsClient>) -> Self {
        Self { https, cached: tokio::sync::Mutex::default() }
    }

    async fn fetch(https: &HttpsClient, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let mut outgoing = Request::builder().method(request.method.as_str()).uri(&request.url);
        for (name, value) in &request.headers {
            outgoing = outgoing.header(name, value);
        }
        let outgoing = outgoing.body(Full::new(request.body.unwrap_or_default()))?;
        let (status, body) = https.send(outgoing).await?;
        Ok(HttpResponse { status_code: status.as_u16(), body: body.to_vec() })
    }
}

#[async_trait::async_trait]
impl HttpClient for EngineHttpClient {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let Some(https) = &self.https else { anyhow::bail!("a simulator build fetches no pages") };
        if request.method != "GET" {
            return Self::fetch(https, request).await;
        }
        let mut cached = self.cached.lock().await; // concurrent requests wait for the first one
        let hit = cached.as_ref().filter(|cached| cached.url == request.url);
        if let Some(hit) = hit.filter(|cached| cached.at.elapsed() < PAGE_TTL) {
            return Ok(hit.page.clone());
        }
        let url = request.url.clone();
        let fetched = Self::fetch(https, request).await;
        if let Err(error) = &fetched {
            // The engine logs the missing version without the cause. The span adds the session to
            // this line.
            tracing::warn!(url, error = format!("{error:#}"), "cannot fetch a page");
        }
        match (fetched, hit) {
            (Ok(page), _) if page.status_code == 200 => {
                *cached = Some(CachedPage { url, at: Instant::now(), page: page.clone() });
                Ok(page)
            }
            (_, Some(old)) => Ok(old.page.clone()),
            (failed, None) => failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn successful_fetch_is_cached_and_failed_fetch_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/sw.js", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            for answer in ["500 No", "200 OK"] {
                let (mut socket, _) = listener.accept().await.unwrap();
                let _ = socket.read(&mut [0; 4096]).await.unwrap();
                let answer = format!(
                    "HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi"
                );
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let fetcher = EngineHttpClient::new(Some(HttpsClient::new().unwrap()));
        assert_eq!(fetcher.execute(HttpRequest::get(&url)).await.unwrap().status_code, 500);
        assert_eq!(fetcher.execute(HttpRequest::get(&url)).await.unwrap().body, b"hi");
        server.await.unwrap(); // the server has stopped
        assert_eq!(fetcher.execute(HttpRequest::get(&url)).await.unwrap().body, b"hi");
        let result = EngineHttpClient::default().execute(HttpRequest::get(&url)).await;
        assert!(result.is_err());
    }
}
