//! The control interface: the actions of people at their phones, over HTTP, for tests in any
//! language, for demos, and for `curl`.

mod faults;
mod messages;
mod phones;
mod routes;
mod stanzas;
mod wire;

use crate::control::routes::{Resource, Route};
use crate::error::{PhoneError, StartError};
use crate::phone::Phone;
use crate::simulator::{self, Simulator};
use async_trait::async_trait;
use bytes::Bytes;
use http_listener::{
    BodyError, Handler, HttpService, Limits, Rejection, RequestContext, ResponseBody,
};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use matchit::{Params, Router};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The control interface of a simulator. Dropping the value stops it.
#[derive(Debug)]
pub struct Control {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Control {
    /// Starts to listen.
    ///
    /// # Errors
    /// Fails when the address is not on loopback or is in use.
    pub async fn start(simulator: Arc<Simulator>, listen: SocketAddr) -> Result<Self, StartError> {
        let listener = simulator::bind(listen).await?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(listen, error))?;
        let routes = routes::all().map_err(|e| StartError::Keys(e.to_string()))?;
        let stopping = CancellationToken::new();
        let service = HttpService::new(Arc::new(ControlService { simulator, routes }), limits());
        tokio::spawn(http_listener::serve(listener, service, stopping.clone()));
        Ok(Self { address, _stop: stopping.drop_guard() })
    }

    /// Returns the address of the control interface.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

struct ControlService {
    simulator: Arc<Simulator>,
    routes: Router<Route>,
}

/// The limits of the control interface.
fn limits() -> Limits {
    Limits {
        connections: 256,
        // Messages of any size that the chat socket carries.
        body_bytes: 4 * 1024 * 1024,
        idle: Duration::from_secs(30),
        // Longer than every action of a phone.
        request_time: Duration::from_secs(120),
        drain: Duration::from_secs(1),
        ..Limits::default()
    }
}

#[async_trait]
impl Handler for ControlService {
    type Log = ();

    fn start_log(&self) {}

    async fn handle(&self, request: &mut RequestContext) -> Response<ResponseBody> {
        self.respond(request).await.unwrap_or_else(ControlError::response).map(ResponseBody::Whole)
    }

    fn reject(&self, rejection: &Rejection) -> Response<Bytes> {
        let message = match rejection {
            Rejection::InvalidHost { reason } => format!("the header Host {reason}"),
            Rejection::Unreadable { .. } => "the request cannot be read".to_owned(),
            Rejection::DeadlineExceeded | Rejection::Aborted => "no answer in time".to_owned(),
            Rejection::Panicked { message } => message.clone(),
        };
        ControlError::Plain(rejection.status(), "rejected", message).response()
    }
}

/// A failed request.
enum ControlError {
    Phone(PhoneError),
    Plain(StatusCode, &'static str, String),
    Method(&'static [Method]),
}

impl From<PhoneError> for ControlError {
    fn from(error: PhoneError) -> Self {
        Self::Phone(error)
    }
}

impl ControlError {
    fn response(self) -> Response<Bytes> {
        let (status, code, message) = match &self {
            Self::Phone(error) => {
                let status = StatusCode::from_u16(error.status());
                (
                    status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                    error.code(),
                    error.to_string(),
                )
            }
            Self::Plain(status, code, message) => (*status, *code, message.clone()),
            Self::Method(methods) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                format!("this path accepts {} only", list(methods)),
            ),
        };
        let body = serde_json::json!({ "error": { "code": code, "message": message } });
        let mut response = json(status, &body);
        if let Self::Method(methods) = self
            && let Ok(value) = HeaderValue::from_str(&list(methods))
        {
            response.headers_mut().insert(ALLOW, value);
        }
        response
    }
}

fn list(methods: &[Method]) -> String {
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(serde_json::to_vec(body).unwrap_or_default()));
    *response.status_mut() = status;
    let value = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

type ControlResult = Result<Response<Bytes>, ControlError>;

impl ControlService {
    async fn respond(&self, request: &mut RequestContext) -> ControlResult {
        let path = request.head.uri.path().to_owned();
        let unknown =
            || ControlError::Plain(StatusCode::NOT_FOUND, "not_found", "no such path".into());
        let matched = self.routes.at(&path).map_err(|_| unknown())?;
        let (route, params) = (*matched.value, &matched.params);
        // The router takes an unknown verb as part of the number.
        if params.get("number").is_some_and(|number| number.contains(':')) {
            return Err(unknown());
        }
        if !route.methods().contains(&request.head.method) {
            return Err(ControlError::Method(route.methods()));
        }
        match route.resource() {
            Resource::TrustAnchor => Ok(self.anchor()),
            Resource::Phones => phones::respond(&self.simulator, route, params, request).await,
            Resource::Messages => messages::respond(&self.simulator, route, params, request).await,
            Resource::Faults => faults::respond(&self.simulator, route, params, request).await,
            Resource::Wire => wire::respond(&self.simulator, request),
        }
    }

    fn anchor(&self) -> Response<Bytes> {
        let hex = self.simulator.trust_anchor().map(|byte| format!("{byte:02x}")).concat();
        json(StatusCode::OK, &serde_json::json!({ "publicKey": hex }))
    }
}

/// Returns the phone that a path names.
fn phone(simulator: &Simulator, params: &Params<'_, '_>) -> Result<Phone, ControlError> {
    Ok(simulator.phone(&decoded(params, "number"))?)
}

fn decoded(params: &Params<'_, '_>, name: &str) -> String {
    percent_decode_str(params.get(name).unwrap_or_default()).decode_utf8_lossy().into_owned()
}

/// Returns the parameters in the query of a request.
fn query(request: &RequestContext) -> HashMap<String, String> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = request.head.uri.query().unwrap_or_default().split('&');
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((decode(name), decode(value)))
    };
    pairs.filter_map(pair).collect()
}

fn bad_request(message: impl Display) -> ControlError {
    ControlError::Plain(StatusCode::BAD_REQUEST, "bad_request", message.to_string())
}

async fn read<T: DeserializeOwned>(request: &mut RequestContext) -> Result<T, ControlError> {
    let (permits, holder) = (request.permits.clone(), request.connection.permit_holder());
    let body = request.body.read(|| permits.waiting(holder)).await.map_err(body_error)?;
    serde_json::from_slice(&body).map_err(|error| {
        ControlError::Plain(StatusCode::BAD_REQUEST, "bad_body", error.to_string())
    })
}

fn body_error(error: BodyError) -> ControlError {
    let (status, code) = match error {
        BodyError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too_slow"),
        BodyError::Incomplete => (StatusCode::BAD_REQUEST, "bad_body"),
        BodyError::NoPermit(_) => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
    };
    ControlError::Plain(status, code, error.to_string())
}
