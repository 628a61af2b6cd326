//! The calls of a node to its router.

use bytes::Bytes;
use gateway_protocol::{
    Delivered, Heartbeat, HeartbeatAnswer, Refusal, RefusalCode, Register, Registered, Reports,
};
use http_client::{HttpClient, bearer};
use hyper::{
    Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use crate::outgoing_http::REQUEST_TIMEOUT;

/// Calls the router on behalf of one node.
pub(crate) struct RouterClient {
    client: HttpClient,
    base_url: String,
    bearer: HeaderValue,
}

/// Why a call to the router failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RouterError {
    /// The router does not know this incarnation.
    #[error("the router does not know this node")]
    NotRegistered,
    /// The router considers the call invalid; a repetition has the same result.
    #[error("{0}")]
    Rejected(String),
    /// Any other failure; the call can be repeated.
    #[error("{0}")]
    Other(String),
}

impl RouterClient {
    pub(crate) fn new(
        client: HttpClient,
        base: &str,
        gateway: &str,
        token: &SecretString,
    ) -> anyhow::Result<Self> {
        let bearer = bearer(token.expose_secret())?;
        Ok(Self { client, base_url: format!("{base}/node/v1/gateways/{gateway}:"), bearer })
    }

    pub(crate) async fn register(
        &self,
        registration: &Register,
    ) -> Result<Registered, RouterError> {
        parse(&self.call("enlist", registration).await?)
    }

    pub(crate) async fn heartbeat(
        &self,
        heartbeat: &Heartbeat,
    ) -> Result<HeartbeatAnswer, RouterError> {
        parse(&self.call("beat", heartbeat).await?)
    }

    pub(crate) async fn report(&self, reports: &Reports) -> Result<(), RouterError> {
        self.call("report", reports).await.map(drop)
    }

    /// Sends the JSON of [`gateway_protocol::Deliveries`].
    pub(crate) async fn deliver(&self, deliveries: String) -> Result<Delivered, RouterError> {
        parse(&self.send("deliver", deliveries.into()).await?)
    }

    async fn call(&self, verb: &str, body: &impl Serialize) -> Result<Bytes, RouterError> {
        self.send(verb, serde_json::to_vec(body).map_err(other_error)?.into()).await
    }

    async fn send(&self, verb: &str, body: Bytes) -> Result<Bytes, RouterError> {
        let request = Request::post(format!("{}{verb}", self.base_url))
            .header(AUTHORIZATION, self.bearer.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(other_error)?;
        let response = self.client.send(request, REQUEST_TIMEOUT).await.map_err(|error| {
            let error = anyhow::Error::from(error);
            RouterError::Other(format!("cannot reach the router: {error:#}"))
        })?;
        let (status, body) = (response.status(), response.into_body());
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(Refusal { code: RefusalCode::NotRegistered, .. }) => Err(RouterError::NotRegistered),
            Ok(refusal) if refusal.code == RefusalCode::Malformed => {
                Err(RouterError::Rejected(format!("refused: {}", refusal.message)))
            }
            Ok(refusal) => Err(RouterError::Other(format!("refused: {}", refusal.message))),
            Err(_) if matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE) => {
                Err(RouterError::Rejected(format!("the router answered {status}")))
            }
            Err(_) => Err(RouterError::Other(format!("the router answered {status}"))),
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, RouterError> {
    serde_json::from_slice(body)
        .map_err(|error| RouterError::Other(format!("invalid answer of the router: {error}")))
}

fn other_error(error: impl std::fmt::Display) -> RouterError {
    RouterError::Other(error.to_string())
}
