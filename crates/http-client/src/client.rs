//! [`HttpClient`]: requests over reused connections.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{Request, Response, body::Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use crate::error::{ClientError, TlsError};

/// Limits of a client.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time limit for opening a TCP connection.
    pub connect: Duration,
    /// Time for which an unused connection stays open.
    pub idle: Duration,
    /// Maximum number of unused connections per host; 0 closes every connection after its exchange.
    pub idle_per_host: usize,
    /// Maximum length of a response body, in bytes.
    pub response_bytes: usize,
}

/// HTTP/1.1 client for `http://` and `https://` addresses. Clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    response_bytes: usize,
}

impl HttpClient {
    /// Creates a client that trusts the certificates that `roots` vouch for. With empty `roots` every
    /// `https://` exchange fails.
    ///
    /// # Errors
    /// When TLS cannot be configured.
    pub fn new(roots: RootCertStore, limits: Limits) -> Result<Self, TlsError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limits.connect));
        // The provider is explicit: rustls panics when two are compiled in and none is chosen.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits.idle)
            .pool_max_idle_per_host(limits.idle_per_host)
            // hyper repeats only a request of which no byte has left.
            .retry_canceled_requests(true)
            .build(connector);
        Ok(Self { client, response_bytes: limits.response_bytes })
    }

    /// Sends the request and reads the whole response, whatever its status, within `deadline`.
    ///
    /// # Errors
    /// [`ClientError`]; the server may have carried the request out.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> Result<Response<Bytes>, ClientError> {
        let exchange = async { self.read(self.request(request).await?).await };
        timeout(deadline, exchange).await.map_err(|_| ClientError::DeadlineExceeded(deadline))?
    }

    /// Like [`send`](Self::send), but reads no body of a response whose status is not 2xx.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Status`] for such a response.
    pub async fn fetch(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> Result<Response<Bytes>, ClientError> {
        let exchange = async {
            let response = self.request(request).await?;
            let status = response.status();
            if status.is_success() {
                self.read(response).await
            } else {
                Err(ClientError::Status(status))
            }
        };
        timeout(deadline, exchange).await.map_err(|_| ClientError::DeadlineExceeded(deadline))?
    }

    async fn request(&self, request: Request<Bytes>) -> Result<Response<Incoming>, ClientError> {
        let response = self.client.request(request.map(Full::new)).await;
        response.map_err(ClientError::of_exchange)
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Response<Bytes>, ClientError> {
        let (head, body) = response.into_parts();
        match Limited::new(body, self.response_bytes).collect().await {
            Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(ClientError::ResponseTooLong(self.response_bytes))
            }
            Err(error) => Err(ClientError::Transport(error)),
        }
    }
}
