//! Requests of the checks to other services.

use std::time::Duration;

use http_client::{HttpClient, Limits, RootCertStore, system_roots};
use hyper::{body::Bytes, http::request::Builder};

/// Time limit for each request.
const TIMEOUT: Duration = Duration::from_secs(10);
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    idle: TIMEOUT,
    idle_per_host: 0,
    response_bytes: 1 << 20,
};

/// Sends a request with this body. Returns the status and the body of the answer, or a sentence on why there
/// is none.
pub(super) async fn send(request: Builder, body: &'static str) -> Result<(u16, Bytes), String> {
    let url = request.uri_ref().map(ToString::to_string).unwrap_or_default();
    let roots = system_roots().unwrap_or_else(|_| RootCertStore::empty());
    let client = HttpClient::new(roots, LIMITS).map_err(|error| error.to_string())?;
    let request = request.body(Bytes::from_static(body.as_bytes()));
    let request = request.map_err(|error| format!("{url}: {error}"))?;
    let answer = client.send(request, TIMEOUT).await;
    let answer = answer.map_err(|error| format!("{url}: {:#}", anyhow::Error::new(error)))?;
    Ok((answer.status().as_u16(), answer.into_body()))
}
