//! A router that records the calls of its nodes, and can be set to be away or to know no node.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use gateway_protocol::{
    Delivered, Deliveries, Heartbeat, HeartbeatAnswer, JournalEntry, JournalItem, MessageItem,
    Refusal, RefusalCode, Register, Registered, Reports, Snapshot,
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
    /// The stored items of all sessions in the order of their arrival, each once.
    pub(crate) stored: Vec<(String, JournalEntry)>,
    /// The newest stored number of each session, and the journal that it belongs to.
    heard: HashMap<String, (String, u64)>,
    /// Sessions whose items are not stored.
    pub(crate) not_stored: Vec<String>,
    /// Sessions that do not exist.
    pub(crate) gone: Vec<String>,
    /// The number of next deliveries that are stored and whose answers are lost.
    pub(crate) lost_answers: usize,
    /// The number of deliveries that arrived.
    pub(crate) deliveries: usize,
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

    /// Returns the stored items of a session in the order of their arrival.
    pub(crate) fn items_of(&self, session: &str) -> Vec<JournalItem> {
        let state = self.state();
        let items = state.stored.iter().filter(|(name, _)| name == session);
        items.map(|(_, entry)| entry.item.clone()).collect()
    }

    /// Returns the stored messages of a session in the order of their arrival.
    pub(crate) fn messages_of(&self, session: &str) -> Vec<MessageItem> {
        let message = |item| match item {
            JournalItem::Message(message) => Some(*message),
            _ => None,
        };
        self.items_of(session).into_iter().filter_map(message).collect()
    }

    /// Waits for an item of a session and returns what `choose` makes of it.
    pub(crate) async fn item<T>(
        &self,
        session: &str,
        what: &str,
        choose: impl Fn(&JournalItem) -> Option<T>,
    ) -> T {
        until(what, || {
            let chosen = self.items_of(session).iter().find_map(&choose);
            async move { chosen }
        })
        .await
    }

    /// Waits for a message with this text and returns it.
    pub(crate) async fn message(&self, session: &str, body: &str) -> MessageItem {
        self.item(session, &format!("message {body}"), |item| match item {
            JournalItem::Message(message) if message.body.as_deref() == Some(body) => {
                Some((**message).clone())
            }
            _ => None,
        })
        .await
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
        "/node/v1/gateways/gw-test:deliver" => {
            let deliveries: Deliveries = serde_json::from_slice(&body).unwrap();
            if !knows(&state, &deliveries.incarnation) {
                return Ok(json(StatusCode::CONFLICT, &unknown));
            }
            let stored = state.store(deliveries);
            if state.lost_answers > 0 {
                state.lost_answers -= 1;
                return Ok(json(StatusCode::SERVICE_UNAVAILABLE, &"lost"));
            }
            json(StatusCode::OK, &stored)
        }
        other => panic!("unexpected call {other}"),
    })
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(serde_json::to_vec(body).unwrap().into()));
    *response.status_mut() = status;
    response
}

impl RouterState {
    /// Stores new items as a router does: numbers of the same journal are stored once, in order.
    fn store(&mut self, request: Deliveries) -> Delivered {
        self.deliveries += 1;
        let mut answer = Delivered { through: BTreeMap::new(), gone: Vec::new() };
        for delivery in request.deliveries {
            if self.gone.contains(&delivery.session) {
                answer.gone.push(delivery.session);
                continue;
            }
            if self.not_stored.contains(&delivery.session) {
                continue;
            }
            let fresh = (request.journal.clone(), 0);
            let heard = self.heard.entry(delivery.session.clone()).or_insert(fresh);
            if heard.0 != request.journal {
                *heard = (request.journal.clone(), 0);
            }
            assert!(delivery.from <= delivery.items[0].seq, "{delivery:?}");
            assert!(delivery.items.is_sorted_by_key(|item| item.seq), "{delivery:?}");
            for item in delivery.items {
                if item.seq > heard.1 {
                    heard.1 = item.seq;
                    self.stored.push((delivery.session.clone(), item));
                }
            }
            answer.through.insert(delivery.session, heard.1);
        }
        answer
    }
}
