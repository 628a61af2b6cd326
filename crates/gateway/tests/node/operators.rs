//! The listener for operators: metrics, liveness and readiness.

use std::net::SocketAddr;

use bytes::Bytes;
use gateway::{Node, Settings};
use gateway_protocol::Status;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use whatsapp_sim::{Kick, Phone};

use crate::{
    fake_router::FakeRouter,
    fixture::{NodeFixture, pairing, settings},
    wait::{PATIENCE, TOKEN, until},
};

/// Returns status, allowed methods and body of the answer of a node's listener for operators.
async fn ask(address: SocketAddr, method: Method, path: &str) -> (StatusCode, String, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    let response = client.request(request.body(Full::default()).unwrap()).await.unwrap();
    let status = response.status();
    let allowed = response.headers().get("allow").map_or("", |value| value.to_str().unwrap());
    let allowed = allowed.to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, allowed, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(address: SocketAddr, path: &str) -> (StatusCode, String) {
    let (status, _, body) = ask(address, Method::GET, path).await;
    (status, body)
}

async fn readiness(address: SocketAddr) -> (StatusCode, Value) {
    let (status, body) = get(address, "/readyz").await;
    (status, serde_json::from_str(&body).unwrap())
}

async fn metrics(address: SocketAddr) -> String {
    let (status, text) = get(address, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    text
}

/// Waits until the metrics have these lines.
async fn wait_for_lines(address: SocketAddr, lines: &[&str]) {
    until(&format!("{lines:?}"), || async {
        let text = metrics(address).await;
        lines.iter().all(|line| text.lines().any(|shown| shown == *line)).then_some(())
    })
    .await;
}

/// Returns the value of a metric; `name` includes the labels.
fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_the_figures_of_a_link_and_name_no_session() {
    let fixture = NodeFixture::with_operators().await;
    let address = fixture.operators();
    let text = metrics(address).await;
    for name in ["closed", "silent", "engine_stopped", "lease_ended"] {
        let name = format!("berth_reconnects_total{{reason=\"{name}\"}}");
        assert!((value(&text, &name) - 0.0).abs() < f64::EPSILON, "{name}");
    }
    let commits = value(&text, "berth_keys_commit_seconds_count");
    let phone = fixture.whatsapp.add_phone("15550000070", "Op").unwrap();
    fixture.linked("s1", &phone).await;
    fixture.api.declare("idle", &crate::fixture::stopped(1)).await.unwrap();
    wait_for_lines(
        address,
        &[
            "berth_node_sessions{status=\"working\"} 1",
            "berth_node_sessions{status=\"stopped\"} 1",
            "berth_node_sessions{status=\"starting\"} 0",
            "berth_node_sessions{status=\"scan_qr_code\"} 0",
            "berth_node_sessions{status=\"failed\"} 0",
            "berth_node_registered 1",
            "berth_node_capacity 100",
            "berth_node_journal_items 0",
            "berth_node_journal_oldest_seconds 0",
            "berth_keys_queue 0",
            "berth_journal_queue 0",
            &format!("berth_node_build_info{{version=\"{}\"}} 1", gateway::VERSION),
        ],
    )
    .await;
    let text = metrics(address).await;
    assert!(value(&text, "berth_keys_commit_seconds_count") > commits, "the device is stored");
    let open = value(&text, "berth_open_files{kind=\"open\"}");
    assert!(open >= 10.0 && open <= value(&text, "berth_open_files{kind=\"limit\"}"), "{open}");
    let free = value(&text, "berth_disk_free_bytes");
    assert!(free > 0.0 && free <= value(&text, "berth_disk_size_bytes"), "{free}");
    assert!(value(&text, "process_resident_memory_bytes") > 0.0);
    assert!(!text.contains("s1") && !text.contains("15550000070"), "{text}");

    let (device, away) = (phone.devices()[0].id, |phone: &Phone| {
        phone.devices().iter().all(|device| !device.connected)
    });
    phone.kick(device, Kick::Close).unwrap();
    assert!(away(&phone) || phone.wait_for(PATIENCE, away).await);
    assert!(phone.wait_connected(1, PATIENCE).await);
    fixture.api.working("s1").await;
    wait_for_lines(address, &["berth_reconnects_total{reason=\"closed\"} 1"]).await;

    phone.unlink(device).unwrap();
    fixture.api.status("s1", Status::Failed).await;
    let lines = [
        "berth_node_sessions{status=\"failed\"} 1",
        "berth_node_sessions{status=\"working\"} 0",
        "berth_reconnects_total{reason=\"closed\"} 1",
        "berth_reconnects_total{reason=\"engine_stopped\"} 0",
    ];
    wait_for_lines(address, &lines).await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_is_ready_while_it_has_the_lease_of_a_router() {
    let fixture = NodeFixture::with_operators().await;
    let address = fixture.operators();
    let ready = |router: bool| json!({ "ready": router, "checks": { "keys": true, "router": router, "serving": true } });
    assert_eq!(readiness(address).await, (StatusCode::OK, ready(true)));
    let phone = fixture.whatsapp.add_phone("15550000071", "Re").unwrap();
    fixture.linked("s1", &phone).await;
    fixture.router.state().lease_ms = 400;
    let heartbeats = fixture.router.state().heartbeats.len();
    fixture.router.until("a short lease", |state| state.heartbeats.len() > heartbeats + 1).await;

    fixture.router.state().away = true;
    let lost = (StatusCode::SERVICE_UNAVAILABLE, ready(false));
    until("not ready", || async { (readiness(address).await == lost).then_some(()) }).await;
    let live = (StatusCode::OK, json!({ "live": true }).to_string());
    assert_eq!(get(address, "/livez").await, live, "a restart would not help");
    let lines = ["berth_node_registered 0", "berth_reconnects_total{reason=\"lease_ended\"} 1"];
    wait_for_lines(address, &lines).await;

    fixture.router.state().lease_ms = 60_000;
    fixture.router.state().away = false;
    let found = (StatusCode::OK, ready(true));
    until("ready again", || async { (readiness(address).await == found).then_some(()) }).await;
    fixture.api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    fixture.api.working("s1").await;
    wait_for_lines(address, &["berth_reconnects_total{reason=\"lease_ended\"} 1"]).await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_with_damaged_keys_is_alive_and_not_ready() {
    let (router, data) = (FakeRouter::start().await, TempDir::new().unwrap());
    std::fs::write(data.path().join("keys.db"), "no database".repeat(1000)).unwrap();
    let settings = settings(data.path(), &router.url, "ws://127.0.0.1:9/ws/chat", 100);
    let ops_listen = Some("127.0.0.1:0".parse().unwrap());
    let node = Node::start(Settings { ops_listen, ..settings }).await.unwrap();
    let address = node.ops_address().unwrap();
    router.until("registered", |state| !state.heartbeats.is_empty()).await;
    let checks = json!({ "keys": false, "router": true, "serving": true });
    let expected = json!({ "ready": false, "checks": checks });
    assert_eq!(readiness(address).await, (StatusCode::SERVICE_UNAVAILABLE, expected));
    assert_eq!(get(address, "/livez").await.0, StatusCode::OK);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_node_is_not_ready() {
    let mut fixture = NodeFixture::with_operators().await;
    let (address, node) = (fixture.operators(), fixture.node.take().unwrap());
    // A call whose body does not arrive delays the stop by up to 3 s.
    let mut call = TcpStream::connect(node.address()).await.unwrap();
    let head = format!(
        "PUT /node/v1/sessions/s1 HTTP/1.1\r\nhost: node\r\nauthorization: Bearer {TOKEN}\r\n\
         expect: 100-continue\r\ncontent-length: 100\r\n\r\n"
    );
    call.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 12];
    call.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100");

    let stopping = tokio::spawn(node.stop());
    let checks = json!({ "keys": true, "router": true, "serving": false });
    let expected = (StatusCode::SERVICE_UNAVAILABLE, json!({ "ready": false, "checks": checks }));
    until("not ready", || async { (readiness(address).await == expected).then_some(()) }).await;
    drop(call);
    stopping.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "the listener has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn listener_answers_its_paths_only_and_changes_nothing() {
    let fixture = NodeFixture::with_operators().await;
    let address = fixture.operators();
    for path in ["/", "/node/v1/health", "/livez/", "/metrics/x"] {
        assert_eq!(get(address, path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        let (status, allowed, _) = ask(address, Method::POST, path).await;
        assert_eq!((status, allowed.as_str()), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
        let (status, _, body) = ask(address, Method::HEAD, path).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, ""), "{path}");
    }
    let api = fixture.node.as_ref().unwrap().address();
    assert_ne!(get(api, "/metrics").await.0, StatusCode::OK, "the router's listener");
    fixture.end().await;
}
