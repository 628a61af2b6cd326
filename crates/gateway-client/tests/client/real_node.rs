//! A real node with a real simulator for one test, and a minimal router that accepts its
//! registration.

use std::{
    convert::Infallible, net::SocketAddr, path::PathBuf, process::Stdio, sync::Arc, time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    Node,
    ports::{Environment, SessionControl},
    testing::{TestEnvironment, TestPause, contract::GatewayUnderTest},
};
use gateway_client::Client;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioIo},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};

use crate::scripted_node::{TIMEOUT, TOKEN, client, node_at};

const PHONE: &str = "15550001";

/// The node, its simulator, and the client under test.
pub(crate) struct RealNode {
    client: Client,
    node: Node,
    environment: Arc<TestEnvironment>,
    control: String,
    _programs: [Child; 2],
    _keys: TempDir,
}

impl RealNode {
    pub(crate) async fn start() -> Self {
        let (simulator, control, socket) = simulator().await;
        let keys = tempfile::tempdir().unwrap();
        let (router, mut addresses) = router().await;
        let gateway = Command::new(program("berth-gateway"))
            .args(["--id", "gw-test", "--end-with-stdin", "--listen", "127.0.0.1:0"])
            .args(["--router", &format!("http://{router}"), "--whatsapp-url", &socket])
            .arg("--data")
            .arg(keys.path())
            .env("BERTH_NODE_TOKEN", TOKEN)
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let address = timeout(TIMEOUT, addresses.recv()).await.expect("the node never registered");
        let this = Self {
            client: client(TIMEOUT),
            node: node_at(address.unwrap()),
            environment: TestEnvironment::new(),
            control,
            _programs: [simulator, gateway],
            _keys: keys,
        };
        this.ask(Method::POST, "/phones", &json!({ "number": PHONE, "name": "Ann" })).await;
        this
    }

    /// Sends a request to the control listener of the simulator.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let http = legacy::Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.control))
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))
            .unwrap();
        let answer = http.request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{path}: {status} {body:?}");
        serde_json::from_slice(&body).unwrap()
    }
}

#[async_trait]
impl GatewayUnderTest for RealNode {
    fn control(&self) -> &dyn SessionControl {
        &self.client
    }

    fn node(&self) -> &Node {
        &self.node
    }

    fn environment(&self) -> &dyn Environment {
        &*self.environment
    }

    fn time(&self) -> &dyn TestPause {
        &RealTime
    }

    async fn scan(&self, qr: &str) {
        self.ask(Method::POST, &format!("/phones/{PHONE}:scan"), &json!({ "qr": qr })).await;
    }

    async fn linked_devices(&self) -> usize {
        let phone = self.ask(Method::GET, &format!("/phones/{PHONE}"), &Value::Null).await;
        phone["devices"].as_array().unwrap().len()
    }
}

/// Waits in real time, because the node is a process of its own.
struct RealTime;

#[async_trait]
impl TestPause for RealTime {
    async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "how the test is told where the programs are")]
fn program(name: &str) -> PathBuf {
    let folder = std::env::var("BERTH_TEST_BIN").expect(
        "this test runs real programs: use `cargo xtask test`, which builds them and says where \
         they are in BERTH_TEST_BIN",
    );
    PathBuf::from(folder).join(name)
}

/// Starts a simulator. Returns the process, its control address and its socket address.
async fn simulator() -> (Child, String, String) {
    let mut child = Command::new(program("whatsapp-sim"))
        .args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let request_line =
        timeout(TIMEOUT, lines.next_line()).await.expect("the simulator prints no addresses");
    let addresses: Value = serde_json::from_str(&request_line.unwrap().unwrap()).unwrap();
    let address_of = |name: &str| addresses[name].as_str().unwrap().to_owned();
    (child, address_of("control"), address_of("socket"))
}

/// Starts a router that accepts every node and sends its address to the receiver.
async fn router() -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            let service = service_fn(move |request| answer_router_call(request, sender.clone()));
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, receiver)
}

async fn answer_router_call(
    request: Request<Incoming>,
    addresses: mpsc::Sender<String>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let answer = if path.ends_with(":enlist") {
        let registration: Value = serde_json::from_slice(&body).unwrap();
        // The test waits for the first registration only.
        let _ = addresses.try_send(registration["address"].as_str().unwrap().to_owned());
        json!({ "boot": 1, "leaseMs": 30_000, "beatMs": 1_000 }).to_string()
    } else if path.ends_with(":beat") {
        json!({ "leaseMs": 30_000, "lost": [] }).to_string()
    } else {
        String::new()
    };
    let status = if answer.is_empty() { StatusCode::NO_CONTENT } else { StatusCode::OK };
    Ok(Response::builder().status(status).body(Full::from(answer)).unwrap())
}
