//! The control interface: the actions of people at their phones, over HTTP, for tests in any
//! language, for demos, and for `curl`.

use crate::account::LinkedDevice;
use crate::error::{PhoneError, StartError};
use crate::kick::Kick;
use crate::phone::Phone;
use crate::simulator::{self, Simulator};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use matchit::{Params, Router};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

const MAX_BODY: usize = 64 * 1024;
const MAX_CONNECTIONS: usize = 256;
const HEADERS_DEADLINE: Duration = Duration::from_secs(30);
const BODY_DEADLINE: Duration = Duration::from_secs(10);

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
        let routes = routes().map_err(|e| StartError::Keys(e.to_string()))?;
        let stopping = CancellationToken::new();
        let service = Arc::new(ControlService { simulator, routes });
        tokio::spawn(accept(service, listener, stopping.clone()));
        Ok(Self { address, _stop: stopping.drop_guard() })
    }

    /// Returns the address of the control interface.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    TrustAnchor,
    Phones,
    Phone,
    Scan,
    EnterCode,
    Unlink,
    Kick,
}

fn routes() -> Result<Router<Route>, matchit::InsertError> {
    let mut routes = Router::new();
    routes.insert("/trust-anchor", Route::TrustAnchor)?;
    routes.insert("/phones", Route::Phones)?;
    routes.insert("/phones/{number}", Route::Phone)?;
    routes.insert("/phones/{number}:scan", Route::Scan)?;
    routes.insert("/phones/{number}:enter-code", Route::EnterCode)?;
    routes.insert("/phones/{number}/devices/{id}:unlink", Route::Unlink)?;
    routes.insert("/phones/{number}/devices/{id}:kick", Route::Kick)?;
    Ok(routes)
}

impl Route {
    fn method(self) -> Method {
        match self {
            Self::TrustAnchor | Self::Phone => Method::GET,
            _ => Method::POST,
        }
    }
}

struct ControlService {
    simulator: Arc<Simulator>,
    routes: Router<Route>,
}

async fn accept(service: Arc<ControlService>, listener: TcpListener, stopping: CancellationToken) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
        let (service, stopping) = (Arc::clone(&service), stopping.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = serve(service, stream) => {}
                () = stopping.cancelled() => {}
            }
            drop(permit);
        });
    }
}

async fn serve(service: Arc<ControlService>, stream: TcpStream) {
    let service = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move {
            Ok::<_, Infallible>(
                service.handle(request).await.unwrap_or_else(ControlError::response),
            )
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_DEADLINE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "control connection ended");
    }
}

/// A failed request.
enum ControlError {
    Phone(PhoneError),
    Plain(StatusCode, &'static str, String),
    Method(Method),
}

impl From<PhoneError> for ControlError {
    fn from(error: PhoneError) -> Self {
        Self::Phone(error)
    }
}

impl ControlError {
    fn response(self) -> Response<Full<Bytes>> {
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
            Self::Method(method) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                format!("this path accepts {method} only"),
            ),
        };
        let body = serde_json::json!({ "error": { "code": code, "message": message } });
        let mut response = json(status, &body);
        if let Self::Method(method) = self
            && let Ok(value) = HeaderValue::from_str(method.as_str())
        {
            response.headers_mut().insert(ALLOW, value);
        }
        response
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(serde_json::to_vec(body).unwrap_or_default()));
    *response.status_mut() = status;
    let value = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhoneSpec {
    number: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    qr: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnterCode {
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KickSpec {
    kind: Kick,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhoneView {
    number: String,
    name: String,
    lid: String,
    code_awaited: bool,
    devices: Vec<LinkedDevice>,
}

impl From<Phone> for PhoneView {
    fn from(phone: Phone) -> Self {
        Self {
            number: phone.number().to_owned(),
            name: phone.name(),
            lid: phone.lid(),
            code_awaited: phone.is_code_awaited(),
            devices: phone.devices(),
        }
    }
}

type ControlResult = Result<Response<Full<Bytes>>, ControlError>;

impl ControlService {
    async fn handle(&self, request: Request<Incoming>) -> ControlResult {
        let path = request.uri().path().to_owned();
        let unknown =
            || ControlError::Plain(StatusCode::NOT_FOUND, "not_found", "no such path".into());
        let matched = self.routes.at(&path).map_err(|_| unknown())?;
        let (route, params) = (*matched.value, &matched.params);
        // The router takes an unknown verb as part of the number.
        if params.get("number").is_some_and(|number| number.contains(':')) {
            return Err(unknown());
        }
        if *request.method() != route.method() {
            return Err(ControlError::Method(route.method()));
        }
        match route {
            Route::TrustAnchor => Ok(self.anchor()),
            Route::Phones => self.add(&read(request).await?),
            Route::Phone => Ok(phone_response(self.phone(params)?)),
            Route::Scan => {
                let phone = self.phone(params)?;
                let device = phone.scan(&read::<Scan>(request).await?.qr).await?;
                Ok(json(StatusCode::OK, &device))
            }
            Route::EnterCode => {
                let phone = self.phone(params)?;
                let device = phone.enter_code(&read::<EnterCode>(request).await?.code).await?;
                Ok(json(StatusCode::OK, &device))
            }
            Route::Unlink => {
                let phone = self.phone(params)?;
                phone.unlink(device(params)?)?;
                Ok(phone_response(phone))
            }
            Route::Kick => {
                let phone = self.phone(params)?;
                let kick = read::<KickSpec>(request).await?.kind;
                phone.kick(device(params)?, kick)?;
                Ok(phone_response(phone))
            }
        }
    }

    fn anchor(&self) -> Response<Full<Bytes>> {
        let hex = self.simulator.trust_anchor().map(|byte| format!("{byte:02x}")).concat();
        json(StatusCode::OK, &serde_json::json!({ "publicKey": hex }))
    }

    fn add(&self, spec: &PhoneSpec) -> ControlResult {
        let (phone, new) = self.simulator.insert_phone(&spec.number, &spec.name)?;
        let status = if new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(json(status, &PhoneView::from(phone)))
    }

    fn phone(&self, params: &Params<'_, '_>) -> Result<Phone, ControlError> {
        Ok(self.simulator.phone(&decoded(params, "number"))?)
    }
}

fn phone_response(phone: Phone) -> Response<Full<Bytes>> {
    json(StatusCode::OK, &PhoneView::from(phone))
}

fn decoded(params: &Params<'_, '_>, name: &str) -> String {
    percent_decode_str(params.get(name).unwrap_or_default()).decode_utf8_lossy().into_owned()
}

fn device(params: &Params<'_, '_>) -> Result<u32, PhoneError> {
    decoded(params, "id").parse().map_err(|_| PhoneError::NoSuchDevice)
}

async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, ControlError> {
    let plain = |status, code, message: &str| ControlError::Plain(status, code, message.to_owned());
    let late = || plain(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body took too long");
    let large = |_| plain(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body cannot be read");
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    let body = tokio::time::timeout(BODY_DEADLINE, body).await.map_err(|_| late())?;
    let body = body.map_err(large)?.to_bytes();
    serde_json::from_slice(&body)
        .map_err(|error| plain(StatusCode::BAD_REQUEST, "bad_body", &error.to_string()))
}
