//! The router, as this node speaks to it.

use bytes::Bytes;
use gateway_protocol::{Beat, Beaten, Enlist, Enlisted, Refusal, RefusalCode, Reports};
use http_body_util::Full;
use hyper::{
    Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use crate::web::Web;

/// Speaks for one node.
pub(crate) struct Router {
    web: Web,
    calls: String,
    bearer: HeaderValue,
}

/// Why a call to the router failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It does not know this incarnation.
    #[error("the router does not know this node")]
    NotEnlisted,
    /// Anything else: to be tried again.
    #[error("{0}")]
    Other(String),
}

impl Router {
    pub(crate) fn new(
        web: Web,
        base: &str,
        gateway: &str,
        token: &SecretString,
    ) -> anyhow::Result<Self> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))?;
        bearer.set_sensitive(true);
        Ok(Self { web, calls: format!("{base}/node/v1/gateways/{gateway}:"), bearer })
    }

    pub(crate) async fn enlist(&self, enlist: &Enlist) -> Result<Enlisted, Failure> {
        read(&self.call("enlist", enlist).await?)
    }

    pub(crate) async fn beat(&self, beat: &Beat) -> Result<Beaten, Failure> {
        read(&self.call("beat", beat).await?)
    }

    pub(crate) async fn report(&self, reports: &Reports) -> Result<(), Failure> {
        self.call("report", reports).await.map(drop)
    }

    async fn call(&self, verb: &str, body: &impl Serialize) -> Result<Bytes, Failure> {
        let body = serde_json::to_vec(body).map_err(other)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{verb}", self.calls))
            .header(AUTHORIZATION, self.bearer.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body.into()))
            .map_err(other)?;
        let (status, body) =
            self.web.send(request).await.map_err(|error| {
                Failure::Other(format!("the router is out of reach: {error:#}"))
            })?;
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(Refusal { code: RefusalCode::NotEnlisted, .. }) => Err(Failure::NotEnlisted),
            Ok(refusal) => Err(Failure::Other(format!("refused: {}", refusal.message))),
            Err(_) => Err(Failure::Other(format!("the router answered {status}"))),
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::Other(format!("nonsense: {error}")))
}

fn other(error: impl std::fmt::Display) -> Failure {
    Failure::Other(error.to_string())
}
