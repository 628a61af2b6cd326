//! A router that remembers what its nodes say, and can be told to be away or to know nobody.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use gateway_protocol::{Beat, Beaten, Enlist, Enlisted, Refusal, RefusalCode, Reports, Snapshot};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpListener;

use crate::world::{TOKEN, until};

#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) boot: u64,
    pub(crate) lease_ms: u64,
    pub(crate) beat_ms: u64,
    /// Answers nothing but 503.
    pub(crate) away: bool,
    /// The incarnation it knows.
    pub(crate) known: Option<String>,
    pub(crate) lost: Vec<String>,
    pub(crate) enlisted: Vec<Enlist>,
    pub(crate) beats: Vec<Beat>,
    pub(crate) reports: Vec<Snapshot>,
    pub(crate) strangers: usize,
}

pub(crate) struct FakeRouter {
    pub(crate) url: String,
    heard: Arc<Mutex<Heard>>,
}

impl FakeRouter {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Heard { lease_ms: 60_000, beat_ms: 50, ..Heard::default() };
        let heard = Arc::new(Mutex::new(heard));
        let ears = heard.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let ears = ears.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(ears.clone(), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Self { url, heard }
    }

    pub(crate) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap()
    }

    /// Waits until it has heard something.
    pub(crate) async fn until(&self, what: &str, heard: impl Fn(&Heard) -> bool) {
        until(what, || {
            let is_so = heard(&self.heard());
            async move { is_so.then_some(()) }
        })
        .await;
    }

    /// What was reported of a session, in the order it arrived.
    pub(crate) fn told_of(&self, session: &str) -> Vec<Snapshot> {
        self.heard().reports.iter().filter(|s| s.session == session).cloned().collect()
    }
}

async fn answer(
    heard: Arc<Mutex<Heard>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let bearer = request.headers().get("authorization").cloned();
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut heard = heard.lock().unwrap();
    if heard.away {
        return Ok(json(StatusCode::SERVICE_UNAVAILABLE, &"away"));
    }
    if bearer.is_none_or(|bearer| bearer != format!("Bearer {TOKEN}").as_str()) {
        heard.strangers += 1;
        return Ok(json(StatusCode::UNAUTHORIZED, &"no"));
    }
    let unknown = Refusal { code: RefusalCode::NotEnlisted, message: "enlist first".into() };
    let knows = |heard: &Heard, incarnation: &str| heard.known.as_deref() == Some(incarnation);
    Ok(match path.as_str() {
        "/node/v1/gateways/gw-test:enlist" => {
            let enlist: Enlist = serde_json::from_slice(&body).unwrap();
            heard.boot += 1;
            heard.known = Some(enlist.incarnation.clone());
            heard.enlisted.push(enlist);
            let (boot, lease_ms, beat_ms) = (heard.boot, heard.lease_ms, heard.beat_ms);
            json(StatusCode::OK, &Enlisted { boot, lease_ms, beat_ms })
        }
        "/node/v1/gateways/gw-test:beat" => {
            let beat: Beat = serde_json::from_slice(&body).unwrap();
            if !knows(&heard, &beat.incarnation) {
                return Ok(json(StatusCode::CONFLICT, &unknown));
            }
            heard.beats.push(beat);
            let lost = std::mem::take(&mut heard.lost);
            json(StatusCode::OK, &Beaten { lease_ms: heard.lease_ms, lost })
        }
        "/node/v1/gateways/gw-test:report" => {
            let reports: Reports = serde_json::from_slice(&body).unwrap();
            if !knows(&heard, &reports.incarnation) {
                return Ok(json(StatusCode::CONFLICT, &unknown));
            }
            heard.reports.extend(reports.reports);
            json(StatusCode::NO_CONTENT, &())
        }
        other => panic!("no node calls {other}"),
    })
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(serde_json::to_vec(body).unwrap().into()));
    *response.status_mut() = status;
    response
}
