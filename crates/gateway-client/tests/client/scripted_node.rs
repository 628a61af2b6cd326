//! A node that says what a test scripted, and remembers what it was asked.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use domain::{Declaration, GatewayId, Node, SessionId, Timestamp};
use futures_util::stream;
use gateway_client::{Client, Config, NodeTokens};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Request, Response, StatusCode, body::Frame, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const TOKEN: &str = "a-token-of-the-test";
/// Long past any deadline a test sets, short enough to fail in.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the node does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// Answers.
    Says(StatusCode, String),
    /// Reads the request and never answers.
    Silence,
    /// Sends a head and the beginning of a body, then nothing more.
    Dribble,
    /// Reads the request and closes the connection.
    HangUp,
}

/// A request as the node got it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heard {
    pub(crate) line: String,
    pub(crate) authorization: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Option<Value>,
}

/// The node.
pub(crate) struct ScriptedNode {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<AtomicUsize>,
}

impl ScriptedNode {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Self {
            address: listener.local_addr().unwrap(),
            heard: Arc::default(),
            connections: Arc::default(),
        };
        let (heard, connections) = (node.heard.clone(), node.connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (heard, script) = (heard.clone(), script.clone());
                let service = service_fn(move |request| {
                    let (heard, script) = (heard.clone(), script.clone());
                    async move { play(script, request, &heard).await }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        node
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// As the router knows it.
    pub(crate) fn enlisted(&self) -> Node {
        node_at(format!("http://{}", self.address))
    }

    /// As the router would know it if it spoke TLS.
    pub(crate) fn enlisted_as_https(&self) -> Node {
        node_at(format!("https://{}", self.address))
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn play(
    script: Script,
    request: Request<Incoming>,
    heard: &Mutex<Vec<Heard>>,
) -> Result<Response<Body>, &'static str> {
    let (parts, body) = request.into_parts();
    let text = |name| parts.headers.get(name).map(|v| String::from(v.to_str().unwrap()));
    let body = body.collect().await.unwrap().to_bytes();
    let line = format!("{} {}", parts.method, parts.uri);
    heard.lock().unwrap().push(Heard {
        line,
        authorization: text("authorization"),
        content_type: text("content-type"),
        body: (!body.is_empty()).then(|| serde_json::from_slice(&body).unwrap()),
    });
    let answer = |status, body| Ok(Response::builder().status(status).body(body).unwrap());
    match script {
        Script::Says(status, text) => answer(status, Full::new(Bytes::from(text)).boxed_unsync()),
        Script::Silence => std::future::pending().await,
        Script::Dribble => {
            let some = stream::once(async { Ok(Frame::data(Bytes::from_static(b"{"))) });
            let body = StreamBody::new(futures_util::StreamExt::chain(some, stream::pending()));
            answer(StatusCode::OK, body.boxed_unsync())
        }
        Script::HangUp => Err("hanging up"),
    }
}

pub(crate) fn node_at(address: String) -> Node {
    Node {
        id: GatewayId::parse("gw-test").unwrap(),
        address,
        incarnation: "i".into(),
        generation: 1,
        version: "v".into(),
        features: vec!["identity".into()],
        capacity: 10,
        held: 0,
        heartbeat_at: Timestamp::from_millis(0),
        lost_at: None,
    }
}

/// A client with the node's token and this much patience.
pub(crate) fn client(patience: Duration) -> Client {
    let tokens = [(GatewayId::parse("gw-test").unwrap(), TOKEN.into())];
    let mut config = Config::new(NodeTokens::from_iter(tokens));
    config.declare = patience;
    config.forget = patience;
    config.identity = patience;
    config.logout_margin = patience;
    config.answer_limit = 4096;
    Client::new(config).unwrap()
}

pub(crate) fn session() -> SessionId {
    SessionId::from_bits(42)
}

pub(crate) fn declaration() -> Declaration {
    Declaration { epoch: 7, running: true, restarts: 2, pairing: None, linked: false, group: None }
}

pub(crate) fn snapshot(session: &SessionId) -> Value {
    json!({
        "session": session.as_str(), "epoch": 7, "boot": 3, "seq": 9, "at": 1_000,
        "status": "working", "reason": null, "pairing": null,
        "identity": {
            "phone": "15550001", "jid": "15550001:2@s.whatsapp.net", "lid": null, "device": 2,
            "pushName": "Ann"
        },
    })
}
