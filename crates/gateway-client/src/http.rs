//! HTTP requests to nodes, each with a deadline and a limit on the response. Requests are not
//! retried.

use std::time::Duration;

use bytes::Bytes;
use domain::ports::GatewayError;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use crate::{refusal, tls};

/// The time that an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The maximum number of unused connections to one node.
const MAX_IDLE_PER_NODE: usize = 16;

/// Sends requests over reused connections.
#[derive(Clone, Debug)]
pub(crate) struct HttpCaller {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    max_response_bytes: usize,
}

/// A request to a node.
pub(crate) struct NodeRequest<'a> {
    pub(crate) method: Method,
    /// The address of the node with the path.
    pub(crate) url: String,
    pub(crate) token: &'a SecretString,
    pub(crate) body: Bytes,
    pub(crate) deadline: Duration,
}

/// A successful response.
#[derive(Debug)]
pub(crate) struct NodeResponse {
    pub(crate) status: StatusCode,
    body: Bytes,
}

impl HttpCaller {
    pub(crate) fn new(connect: Duration, max_response_bytes: usize) -> Result<Self, rustls::Error> {
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_NODE)
            // Sends a request on another connection if its connection closed before the first byte.
            // hyper returns no request of which a byte may have been sent.
            .retry_canceled_requests(true)
            .build(tls::connector(connect)?);
        Ok(Self { http, max_response_bytes })
    }

    /// Sends a request and returns a successful, complete response.
    ///
    /// # Errors
    /// *Unavailable* if the node does not respond in time; *broken* if the response is too long;
    /// otherwise the error for the status and body of the response.
    pub(crate) async fn send(&self, call: NodeRequest<'_>) -> Result<NodeResponse, GatewayError> {
        let deadline = call.deadline;
        let request = call.request()?;
        match tokio::time::timeout(deadline, self.send_unbounded(request)).await {
            Ok(response) => response,
            Err(_) => {
                Err(GatewayError::Unavailable(format!("no response within {deadline:?}").into()))
            }
        }
    }

    async fn send_unbounded(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<NodeResponse, GatewayError> {
        let unavailable = |error| GatewayError::Unavailable(Box::new(error));
        let (head, body) = self.http.request(request).await.map_err(unavailable)?.into_parts();
        let body = match Limited::new(body, self.max_response_bytes).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                let limit = self.max_response_bytes;
                return Err(GatewayError::Broken(
                    format!("a response of more than {limit} bytes").into(),
                ));
            }
            Err(error) => return Err(GatewayError::Unavailable(error)),
        };
        if head.status.is_success() {
            Ok(NodeResponse { status: head.status, body })
        } else {
            Err(refusal::error(head.status, &body))
        }
    }
}

impl NodeRequest<'_> {
    fn request(self) -> Result<Request<Full<Bytes>>, GatewayError> {
        let broken = |error: hyper::http::Error| GatewayError::Broken(Box::new(error));
        let bearer = format!("Bearer {}", self.token.expose_secret());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|error| broken(error.into()))?;
        bearer.set_sensitive(true);
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.url)
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, "application/json");
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(self.body)).map_err(broken)
    }
}

impl NodeResponse {
    /// Parses the body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, GatewayError> {
        serde_json::from_slice(&self.body).map_err(|error| GatewayError::Broken(Box::new(error)))
    }
}

/// Returns the JSON body of a command.
pub(crate) fn body(command: &impl Serialize) -> Result<Bytes, GatewayError> {
    match serde_json::to_vec(command) {
        Ok(body) => Ok(body.into()),
        Err(error) => Err(GatewayError::Broken(Box::new(error))),
    }
}
