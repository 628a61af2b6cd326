//! A router that records the calls of its nodes, and can be set to be away or to know no node.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use gateway_protocol::{
    Heartbeat, HeartbeatAnswer, Refusal, RefusalCode, Register, Registered, Reports, Snapshot,
};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpListener;

use crate::wait::{TOKEN, until};

#[derive(Default)]
pub(crate) struct RouterState {
    pub(crate) generation: u64,
    pub(crate) lease_ms: u64,
    pub(crate) heartbeat_ms: u64,
    /// Answers every call with 503.
    pub(crate) away: bool,
    /// The registered incarnation; calls with another one are refused.
    pub(crate) known_incarnation: Option<String>,
    pub(crate) lost: Vec<String>,
    pub(crate) registrations: Vec<Register>,
    pub(crate) heartbeats: Vec<Heartbeat>,
    pub(crate) reports: Vec<Snapshot>,
    pub(crate) unauthorized_calls: usize,
}

pub(crate) struct FakeRouter {
    pub(crate) url: String,
    state: Arc<Mutex<RouterState>>,
}

impl FakeRouter {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = RouterState { lease_ms: 60_000, heartbeat_ms: 50, ..RouterState::default() };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(shared.clone(), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Self { url, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, RouterState> {
        self.state.lock().unwrap()
    }

    /// Waits for a state of the router.
    pub(crate) async fn until(&self, what: &str, state: impl Fn(&RouterState) -> bool) {
        until(what, || {
            let is_so = state(&self.state());
            async move { is_so.then_some(()) }
        })
        .await;
    }

    /// Returns the reports of a session in the order of their arrival.
    pub(crate) fn reports_of(&self, session: &str) -> Vec<Snapshot> {
        self.state().reports.iter().filter(|s| s.session == session).cloned().collect()
    }
}

async fn answer(
    state: Arc<Mutex<RouterState>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let bearer = request.headers().get("authorization").cloned();
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut state = state.lock().unwrap();
    if state.away {
        return Ok(json(StatusCode::SERVICE_UNAVAILABLE, &"away"));
    }
    if bearer.is_none_or(|bearer| bearer != format!("Bearer {TOKEN}").as_str()) {
        state.unauthorized_calls += 1;
        return Ok(json(StatusCode::UNAUTHORIZED, &"no"));
    }
    let unknown = Refusal { code: RefusalCode::NotRegistered, message: "enlist first".into() };
    let knows = |state: &RouterState, incarnation: &str| {
        state.known_incarnation.as_deref() == Some(incarnation)
    };
    Ok(match path.as_str() {
        "/node/v1/gateways/gw-test:enlist" => {
            let registration: Register = serde_json::from_slice(&body).unwrap();
            state.generation += 1;
            state.known_incarnation = Some(registration.incarnation.clone());
            state.registrations.push(registration);
            let (generation, lease_ms, heartbeat_ms) =
                (state.generation, state.lease_ms, state.heartbeat_ms);
            json(StatusCode::OK, &Registered { generation, lease_ms, heartbeat_ms })
        }
        "/node/v1/gateways/gw-test:beat" => {
            let heartbeat: Heartbeat = serde_json::from_slice(&body).unwrap();
            if !knows(&state, &heartbeat.incarnation) {
                return Ok(json(StatusCode::CONFLICT, &unknown));
            }
            state.heartbeats.push(heartbeat);
            let lost = std::mem::take(&mut state.lost);
            json(StatusCode::OK, &HeartbeatAnswer { lease_ms: state.lease_ms, lost })
        }
        "/node/v1/gateways/gw-test:report" => {
            let reports: Reports = serde_json::from_slice(&body).unwrap();
            if !knows(&state, &reports.incarnation) {
                return Ok(json(StatusCode::CONFLICT, &unknown));
            }
            state.reports.extend(reports.reports);
            json(StatusCode::NO_CONTENT, &())
        }
        other => panic!("unexpected call {other}"),
    })
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(serde_json::to_vec(body).unwrap().into()));
    *response.status_mut() = status;
    response
}
