//! A node that responds as a test says and records its requests.

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
/// Longer than any deadline of a test.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// The reaction of the node to a request.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// Responds with a status and a body.
    Respond(StatusCode, String),
    /// Reads the request and never responds.
    NoResponse,
    /// Sends a head and the first byte of a body, and never the rest.
    IncompleteBody,
    /// Reads the request and closes the connection.
    CloseConnection,
}

/// A request as received.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReceivedRequest {
    pub(crate) request_line: String,
    pub(crate) authorization: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Option<Value>,
}

/// A running node.
pub(crate) struct ScriptedNode {
    address: SocketAddr,
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
    connections: Arc<AtomicUsize>,
}

impl ScriptedNode {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Self {
            address: listener.local_addr().unwrap(),
            received: Arc::default(),
            connections: Arc::default(),
        };
        let (received, connections) = (node.received.clone(), node.connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (received, script) = (received.clone(), script.clone());
                let service = service_fn(move |request| {
                    let (received, script) = (received.clone(), script.clone());
                    async move { play(script, request, &received).await }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        node
    }

    pub(crate) fn received(&self) -> Vec<ReceivedRequest> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Returns the node as the router knows it.
    pub(crate) fn registered(&self) -> Node {
        node_at(format!("http://{}", self.address))
    }

    /// Returns the node with an `https` address.
    pub(crate) fn registered_with_https(&self) -> Node {
        node_at(format!("https://{}", self.address))
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn play(
    script: Script,
    request: Request<Incoming>,
    received: &Mutex<Vec<ReceivedRequest>>,
) -> Result<Response<Body>, &'static str> {
    let (parts, body) = request.into_parts();
    let text = |name| parts.headers.get(name).map(|v| String::from(v.to_str().unwrap()));
    let body = body.collect().await.unwrap().to_bytes();
    let request_line = format!("{} {}", parts.method, parts.uri);
    received.lock().unwrap().push(ReceivedRequest {
        request_line,
        authorization: text("authorization"),
        content_type: text("content-type"),
        body: (!body.is_empty()).then(|| serde_json::from_slice(&body).unwrap()),
    });
    let answer = |status, body| Ok(Response::builder().status(status).body(body).unwrap());
    match script {
        Script::Respond(status, text) => {
            answer(status, Full::new(Bytes::from(text)).boxed_unsync())
        }
        Script::NoResponse => std::future::pending().await,
        Script::IncompleteBody => {
            let some = stream::once(async { Ok(Frame::data(Bytes::from_static(b"{"))) });
            let body = StreamBody::new(futures_util::StreamExt::chain(some, stream::pending()));
            answer(StatusCode::OK, body.boxed_unsync())
        }
        Script::CloseConnection => Err("hanging up"),
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

/// Returns a client with the node's token and `timeout` as all deadlines.
pub(crate) fn client(timeout: Duration) -> Client {
    let tokens = [(GatewayId::parse("gw-test").unwrap(), TOKEN.into())];
    let mut config = Config::new(NodeTokens::from_iter(tokens));
    config.declare = timeout;
    config.forget = timeout;
    config.identity = timeout;
    config.logout_margin = timeout;
    config.hand_over = timeout;
    config.ask = timeout;
    config.max_response_bytes = 4096;
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
