//! One HTTP call to a node: a deadline over all of it, a limit on the answer, no second try.

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

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(20);
/// How many of them are kept per node.
const IDLE_CONNECTIONS: usize = 16;

/// Makes calls over kept connections.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    answer_limit: usize,
}

/// What to ask of whom.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// The node's address and the path, as one.
    pub(crate) url: String,
    pub(crate) token: &'a SecretString,
    pub(crate) body: Bytes,
    pub(crate) deadline: Duration,
}

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    body: Bytes,
}

impl Line {
    pub(crate) fn new(connect: Duration, answer_limit: usize) -> Result<Self, rustls::Error> {
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            // A request that a dying connection never began to send may go out on another one;
            // hyper gives back no request of which a byte may have left.
            .retry_canceled_requests(true)
            .build(tls::connector(connect)?);
        Ok(Self { http, answer_limit })
    }

    /// The node's answer, if it is a success that came whole and in time.
    pub(crate) async fn make(&self, call: Call<'_>) -> Result<Answer, GatewayError> {
        let deadline = call.deadline;
        let request = call.request()?;
        match tokio::time::timeout(deadline, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(GatewayError::Unavailable(format!("no answer in {deadline:?}").into())),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, GatewayError> {
        let unavailable = |error| GatewayError::Unavailable(Box::new(error));
        let (head, body) = self.http.request(request).await.map_err(unavailable)?.into_parts();
        let body = match Limited::new(body, self.answer_limit).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                let limit = self.answer_limit;
                return Err(GatewayError::Broken(format!("an answer over {limit} bytes").into()));
            }
            Err(error) => return Err(GatewayError::Unavailable(error)),
        };
        if head.status.is_success() {
            Ok(Answer { status: head.status, body })
        } else {
            Err(refusal::error(head.status, &body))
        }
    }
}

impl Call<'_> {
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

impl Answer {
    /// What it says.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, GatewayError> {
        serde_json::from_slice(&self.body).map_err(|error| GatewayError::Broken(Box::new(error)))
    }
}

/// A command, as it is sent.
pub(crate) fn body(command: &impl Serialize) -> Result<Bytes, GatewayError> {
    match serde_json::to_vec(command) {
        Ok(body) => Ok(body.into()),
        Err(error) => Err(GatewayError::Broken(Box::new(error))),
    }
}
