//! The HTTP this node does outwards: to its router, and for the engine to WhatsApp's web page.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use wacore::net::{HttpClient, HttpRequest, HttpResponse};

/// The longest answer that is read.
const LONGEST: usize = 4 << 20;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// An HTTP client with deadlines and limits.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Web {
    /// Trusts the system's certificates and those everybody trusts.
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

    /// Sends and reads the whole answer, within the deadline.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let exchange = async {
            let answer = self.client.request(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
            anyhow::Ok((status, body))
        };
        tokio::time::timeout(PATIENCE, exchange).await?
    }
}

/// What the engine fetches: WhatsApp Web's version, which linking needs to be fresh. A node on the
/// simulator fetches nothing at all.
#[derive(Debug)]
pub(crate) struct Fetcher(pub(crate) Option<Web>);

#[async_trait::async_trait]
impl HttpClient for Fetcher {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let Some(web) = &self.0 else { anyhow::bail!("a simulator build fetches nothing") };
        let mut outgoing = Request::builder().method(request.method.as_str()).uri(&request.url);
        for (name, value) in &request.headers {
            outgoing = outgoing.header(name, value);
        }
        let outgoing = outgoing.body(Full::new(request.body.unwrap_or_default()))?;
        let (status, body) = web.send(outgoing).await?;
        Ok(HttpResponse { status_code: status.as_u16(), body: body.to_vec() })
    }
}
