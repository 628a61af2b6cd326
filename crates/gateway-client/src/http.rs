//! HTTP requests to nodes and their responses, with the errors of the port.

use std::time::Duration;

use bytes::Bytes;
use domain::ports::GatewayError;
use http_client::{ClientError, HttpClient, Limits, RootCertStore, TlsError, bearer, system_roots};
use hyper::{
    Method, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use crate::{config::Config, refusal};

/// The time that an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The maximum number of unused connections to one node.
const MAX_IDLE_PER_NODE: usize = 16;

/// A request to a node.
pub(crate) struct NodeRequest<'a> {
    pub(crate) method: Method,
    /// The address of the node with the path.
    pub(crate) url: String,
    pub(crate) token: &'a SecretString,
    pub(crate) body: Bytes,
    pub(crate) deadline: Duration,
    /// The value of `traceparent`.
    pub(crate) trace: Option<String>,
}

/// A successful response.
#[derive(Debug)]
pub(crate) struct NodeResponse {
    pub(crate) status: StatusCode,
    body: Bytes,
}

/// Creates the client of all nodes.
pub(crate) fn client(config: &Config) -> Result<HttpClient, TlsError> {
    // Nodes on plain HTTP need no authorities, so their absence must not prevent the start.
    let system = || {
        system_roots().unwrap_or_else(|error| {
            tracing::warn!(%error, "no certificate authorities on this machine: nodes cannot be reached by https");
            RootCertStore::empty()
        })
    };
    let roots = config.authorities.clone().unwrap_or_else(system);
    let limits = Limits {
        connect: config.connect,
        idle: IDLE_TIMEOUT,
        idle_per_host: MAX_IDLE_PER_NODE,
        response_bytes: config.max_response_bytes,
    };
    HttpClient::new(roots, limits)
}

impl NodeRequest<'_> {
    /// Sends the request and returns a successful, complete response.
    ///
    /// # Errors
    /// *Unreachable* without a connection; *unavailable* if the node does not respond in time; *broken* if the response is too long;
    /// otherwise the error for the status and body of the response.
    pub(crate) async fn send(self, client: &HttpClient) -> Result<NodeResponse, GatewayError> {
        let deadline = self.deadline;
        let response =
            client.send(self.into_http()?, deadline).await.map_err(|error| match error {
                ClientError::ResponseTooLong(_) => broken(error),
                ClientError::Connect(_)
                | ClientError::UntrustedCertificate(_)
                | ClientError::NoTls => GatewayError::Unreachable(error.into()),
                _ => GatewayError::Unavailable(error.into()),
            })?;
        let (status, body) = (response.status(), response.into_body());
        if status.is_success() {
            Ok(NodeResponse { status, body })
        } else {
            Err(refusal::error(status, &body))
        }
    }

    fn into_http(self) -> Result<Request<Bytes>, GatewayError> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.url)
            .header(AUTHORIZATION, bearer(self.token.expose_secret()).map_err(broken)?)
            .header(ACCEPT, "application/json");
        if let Some(trace) = self.trace {
            request = request.header(gateway_protocol::TRACE_PARENT, trace);
        }
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request.body(self.body).map_err(broken)
    }
}

impl NodeResponse {
    /// Parses the body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, GatewayError> {
        serde_json::from_slice(&self.body).map_err(broken)
    }
}

/// Returns the JSON body of a command.
pub(crate) fn body(command: &impl Serialize) -> Result<Bytes, GatewayError> {
    serde_json::to_vec(command).map(Bytes::from).map_err(broken)
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> GatewayError {
    GatewayError::Broken(Box::new(error))
}
