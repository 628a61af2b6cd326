//! A node with a simulated WhatsApp and a fake router, and a client of its API.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use gateway::{Node, Settings, TlsSettings, TransportProvider, WebSocketProvider};
use gateway_protocol::{
    Answer, Ask, Cancelled, Declaration, Health, LiveIdentity, LoggedOut, Logout, MessagesTaken,
    PairingSpec, Question, Refusal, SendMessages, Snapshot, Snapshots, Status,
};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Serialize, de::DeserializeOwned};
use tempfile::TempDir;
use whatsapp_sim::{Config, Phone, Simulator};

use crate::{
    fake_router::{FakeRouter, RouterState},
    wait::{PATIENCE, TOKEN},
};

pub(crate) struct NodeFixture {
    pub(crate) whatsapp: Simulator,
    pub(crate) router: FakeRouter,
    pub(crate) data: TempDir,
    pub(crate) node: Option<Node>,
    pub(crate) api: Api,
}

impl NodeFixture {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default(), 100, |wire| wire).await
    }

    pub(crate) async fn with(
        whatsapp: Config,
        capacity: u32,
        wire: impl FnOnce(Arc<dyn TransportProvider>) -> Arc<dyn TransportProvider>,
    ) -> Self {
        Self::start(whatsapp, capacity, None, wire).await
    }

    /// Starts a node with a listener for operators. A process has one such node, because the recorder of
    /// its metrics is global.
    pub(crate) async fn with_operators() -> Self {
        let any_port = Some("127.0.0.1:0".parse().unwrap());
        Self::start(Config::default(), 100, any_port, |wire| wire).await
    }

    /// Returns the address of the listener for operators.
    pub(crate) fn operators(&self) -> SocketAddr {
        self.node.as_ref().and_then(Node::ops_address).unwrap()
    }

    async fn start(
        whatsapp: Config,
        capacity: u32,
        ops_listen: Option<SocketAddr>,
        wire: impl FnOnce(Arc<dyn TransportProvider>) -> Arc<dyn TransportProvider>,
    ) -> Self {
        let whatsapp = Simulator::start(whatsapp).await.unwrap();
        let router = FakeRouter::start().await;
        let data = TempDir::new().unwrap();
        let settings = settings(data.path(), &router.url, &whatsapp.url(), capacity);
        let settings = Settings { ops_listen, ..settings };
        let wire = wire(Arc::new(WebSocketProvider(settings.whatsapp.clone())));
        let node = Node::start_with_transports(settings, wire).await.unwrap();
        let api = Api::new(node.address());
        router.until("registered", |state| !state.heartbeats.is_empty()).await;
        Self { whatsapp, router, data, node: Some(node), api }
    }

    /// Stops the node before its data folder is deleted, because the node may still use the folder.
    pub(crate) async fn end(mut self) {
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
    }

    /// Stops the node and starts another one on the same data folder.
    pub(crate) async fn restart(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
        let settings = settings(self.data.path(), &self.router.url, &self.whatsapp.url(), 100);
        let known = self.router.state().registrations.len();
        self.router.state().heartbeats.clear();
        let node = Node::start(settings).await.unwrap();
        self.api = Api::new(node.address());
        self.node = Some(node);
        let is_registered =
            |state: &RouterState| state.registrations.len() > known && !state.heartbeats.is_empty();
        self.router.until("registered", is_registered).await;
    }

    /// Links a session by QR code, and waits until it is working.
    pub(crate) async fn linked(&self, session: &str, phone: &Phone) -> Snapshot {
        self.api.declare(session, &pairing(1, 1, None)).await.unwrap();
        let qr = self.api.qr(session).await;
        phone.scan(&qr).await.unwrap();
        self.api.working(session).await
    }

    /// Returns the sessions with keys in the file; `?` stands for keys without a session.
    pub(crate) fn sessions_with_keys(&self) -> Vec<String> {
        let keys = rusqlite::Connection::open(self.data.path().join("keys.db")).unwrap();
        let sql = "SELECT DISTINCT coalesce(name, '?') FROM entries \
                   LEFT JOIN sessions ON number = session";
        let mut statement = keys.prepare(sql).unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    }
}

pub(crate) fn settings(data: &Path, router: &str, whatsapp: &str, capacity: u32) -> Settings {
    Settings {
        id: "gw-test".into(),
        listen: "127.0.0.1:0".parse().unwrap(),
        ops_listen: None,
        advertise: None,
        tls: TlsSettings::default(),
        data: data.to_owned(),
        router: router.to_owned(),
        token: TOKEN.to_owned().into(),
        capacity,
        max_linking: 8,
        keys_in_memory: false,
        whatsapp: Some(whatsapp.to_owned()),
    }
}

/// A declaration of a running session that does not pair.
pub(crate) fn running(epoch: u64) -> Declaration {
    Declaration { epoch, running: true, restarts: 0, pairing: None, linked: false, group: None }
}

/// A declaration of a stopped session.
pub(crate) fn stopped(epoch: u64) -> Declaration {
    Declaration { running: false, ..running(epoch) }
}

/// A declaration of a pairing session; by code if a phone number is given.
pub(crate) fn pairing(epoch: u64, attempt: u64, phone: Option<&str>) -> Declaration {
    let phone = phone.map(str::to_owned);
    let pairing = PairingSpec { attempt, phone, request: epoch };
    Declaration { pairing: Some(pairing), ..running(epoch) }
}

/// A client of the node's API.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Api {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { base: format!("http://{address}/node/v1"), client }
    }

    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Vec<u8>,
    ) -> (StatusCode, Bytes) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(body.into()))
            .unwrap();
        let answer = self.client.request(request).await.unwrap();
        let status = answer.status();
        (status, answer.into_body().collect().await.unwrap().to_bytes())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Refusal> {
        let body = body.map(|body| serde_json::to_vec(body).unwrap()).unwrap_or_default();
        let (status, body) = self.raw(method, path, TOKEN, body).await;
        if status.is_success() {
            let body: &[u8] = if body.is_empty() { b"null" } else { &body };
            Ok(serde_json::from_slice(body).unwrap())
        } else {
            Err(serde_json::from_slice(&body).unwrap())
        }
    }

    pub(crate) async fn declare(
        &self,
        session: &str,
        declaration: &Declaration,
    ) -> Result<Snapshot, Refusal> {
        self.call(Method::PUT, &format!("/sessions/{session}"), Some(declaration)).await
    }

    pub(crate) async fn logout(
        &self,
        session: &str,
        epoch: u64,
        deadline: Duration,
    ) -> Result<LoggedOut, Refusal> {
        let deadline_ms = deadline.as_millis().try_into().unwrap();
        let body = Logout { epoch, linked: false, deadline_ms };
        self.call(Method::POST, &format!("/sessions/{session}:logout"), Some(&body)).await
    }

    pub(crate) async fn forget(&self, session: &str, epoch: u64) -> Result<(), Refusal> {
        let path = format!("/sessions/{session}?epoch={epoch}");
        self.call(Method::DELETE, &path, None::<&()>).await
    }

    pub(crate) async fn view(&self, session: &str) -> Result<Snapshot, Refusal> {
        self.call(Method::GET, &format!("/sessions/{session}"), None::<&()>).await
    }

    pub(crate) async fn list(&self) -> Vec<Snapshot> {
        let all: Snapshots = self.call(Method::GET, "/sessions", None::<&()>).await.unwrap();
        all.sessions
    }

    pub(crate) async fn identity(&self, session: &str) -> Result<LiveIdentity, Refusal> {
        self.call(Method::GET, &format!("/sessions/{session}/identity"), None::<&()>).await
    }

    pub(crate) async fn send(
        &self,
        session: &str,
        messages: &SendMessages,
    ) -> Result<MessagesTaken, Refusal> {
        self.call(Method::POST, &format!("/sessions/{session}/messages"), Some(messages)).await
    }

    pub(crate) async fn cancel(
        &self,
        session: &str,
        epoch: u64,
        outbox: &str,
    ) -> Result<Cancelled, Refusal> {
        let path = format!("/sessions/{session}/messages/{outbox}?epoch={epoch}");
        self.call(Method::DELETE, &path, None::<&()>).await
    }

    pub(crate) async fn ask(
        &self,
        session: &str,
        epoch: u64,
        ask: Question,
    ) -> Result<Answer, Refusal> {
        let body = Ask { epoch, ask };
        self.call(Method::POST, &format!("/sessions/{session}:ask"), Some(&body)).await
    }

    pub(crate) async fn health(&self) -> Health {
        self.call(Method::GET, "/health", None::<&()>).await.unwrap()
    }

    /// Waits until the snapshot of a session satisfies `is_so`.
    pub(crate) async fn until(
        &self,
        session: &str,
        what: &str,
        is_so: impl Fn(&Snapshot) -> bool,
    ) -> Snapshot {
        let last = std::sync::Mutex::new(String::new());
        let observed = tokio::time::timeout(PATIENCE, async {
            loop {
                let observed = self.view(session).await;
                *last.lock().unwrap() = format!("{observed:?}");
                if let Ok(snapshot) = observed
                    && is_so(&snapshot)
                {
                    return snapshot;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        observed.await.unwrap_or_else(|_| {
            panic!("timed out before {session} {what}; last {}", last.lock().unwrap())
        })
    }

    pub(crate) async fn status(&self, session: &str, status: Status) -> Snapshot {
        self.until(session, &format!("{status:?}"), |s| s.status == status).await
    }

    pub(crate) async fn working(&self, session: &str) -> Snapshot {
        self.status(session, Status::Working).await
    }

    /// Waits for a QR code and returns its text.
    pub(crate) async fn qr(&self, session: &str) -> String {
        let has_one = |s: &Snapshot| s.pairing.as_ref().is_some_and(|p| p.qr.is_some());
        let shown = self.until(session, "shows a QR code", has_one).await;
        shown.pairing.unwrap().qr.unwrap().text
    }

    /// Waits for the pairing code of a request.
    pub(crate) async fn code(&self, session: &str, request: u64) -> String {
        let code = |s: &Snapshot| s.pairing.as_ref()?.code.clone().filter(|c| c.request == request);
        let shown = self.until(session, "shows a code", |s| code(s).is_some()).await;
        code(&shown).unwrap().code
    }
}

/// Returns the code of a snapshot's reason; empty without a reason.
pub(crate) fn reason_code(snapshot: &Snapshot) -> &str {
    snapshot.reason.as_ref().map_or("", |reason| &reason.code)
}
