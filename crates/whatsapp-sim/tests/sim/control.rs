//! The control interface: paths, answers and errors.

use crate::client::ClientKeys;
use crate::{ANN, connect_unlinked, link, network};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use whatsapp_sim::{Config, Control, Simulator, StartError};

pub(crate) struct ControlFixture {
    pub(crate) simulator: Arc<Simulator>,
    control: Control,
}

impl ControlFixture {
    pub(crate) async fn open() -> Self {
        let simulator = Arc::new(network(Config::default()).await.0);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let control = Control::start(Arc::clone(&simulator), any).await.unwrap();
        Self { simulator, control }
    }

    /// Sends one request and returns its status, head and body.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> (u16, String, Value) {
        let mut stream = TcpStream::connect(self.control.address()).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), serde_json::from_str(body).unwrap())
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, _, body) = self.send("POST", path, &body.to_string()).await;
        (status, body)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let (status, _, body) = self.send("GET", path, "").await;
        (status, body)
    }
}

#[tokio::test]
async fn trust_anchor_is_hexadecimal() {
    let fixture = ControlFixture::open().await;
    let (status, body) = fixture.get("/trust-anchor").await;
    let hex = fixture.simulator.trust_anchor().map(|byte| format!("{byte:02x}")).concat();
    assert_eq!((status, body), (200, json!({ "publicKey": hex })));
}

#[tokio::test]
async fn repeated_phone_is_the_same_phone() {
    let fixture = ControlFixture::open().await;
    let bob = json!({ "number": "15550000002", "name": "Bob" });
    assert_eq!(fixture.post("/phones", bob.clone()).await.0, 201);
    let (status, body) = fixture.post("/phones", bob).await;
    assert_eq!((status, &body["devices"]), (200, &json!([])));
    let other = json!({ "number": "15550000002", "name": "Robert" });
    let (status, body) = fixture.post("/phones", other).await;
    assert_eq!((status, body["error"]["code"].as_str()), (409, Some("phone_exists")));
    assert_eq!(fixture.get("/phones/15550000002").await.1["name"], "Bob");
    assert_eq!(fixture.get("/phones/15550000003").await.0, 404);
}

#[tokio::test]
async fn phone_scans_lists_kicks_and_unlinks_over_http() {
    let fixture = ControlFixture::open().await;
    let keys = ClientKeys::new();
    let (mut client, refs) = connect_unlinked(&fixture.simulator, &keys).await;
    let body = json!({ "qr": keys.qr(&refs[0]) });
    let path = format!("/phones/{ANN}:scan");
    let (scanned, signed) = tokio::join!(fixture.post(&path, body), client.sign(&keys));
    signed.unwrap();
    assert_eq!((scanned.0, &scanned.1["platform"]), (200, &json!("firefox")));
    let id = scanned.1["id"].as_u64().unwrap();
    let (_, shown) = fixture.get(&format!("/phones/{ANN}")).await;
    let device = &shown["devices"][0];
    assert_eq!((device["id"].as_u64(), &device["connected"]), (Some(id), &json!(false)));
    assert!(device["linkedAt"].as_u64().unwrap() > 1_700_000_000_000);

    let device = format!("/phones/{ANN}/devices/{id}");
    assert_eq!(fixture.post(&format!("{device}:kick"), json!({ "kind": "close" })).await.0, 409);
    assert_eq!(fixture.post(&format!("{device}:kick"), json!({ "kind": "banned" })).await.0, 200);
    let (status, _, body) = fixture.send("POST", &format!("{device}:unlink"), "").await;
    assert_eq!((status, &body["devices"]), (200, &json!([])));
    assert_eq!(fixture.send("POST", &format!("{device}:unlink"), "").await.0, 404);
}

#[tokio::test]
async fn percent_encoded_number_is_decoded() {
    let fixture = ControlFixture::open().await;
    let device =
        link(&fixture.simulator, &fixture.simulator.phone(ANN).unwrap(), &ClientKeys::new()).await;
    let (status, body) = fixture.get(&format!("/phones/%31{}", &ANN[1..])).await;
    assert_eq!((status, &body["devices"][0]["jid"]), (200, &json!(device.jid)));
}

#[tokio::test]
async fn bad_requests_are_refused_with_a_reason() {
    let fixture = ControlFixture::open().await;
    let scan = format!("/phones/{ANN}:scan");
    let code = format!("/phones/{ANN}:enter-code");
    let kick = format!("/phones/{ANN}/devices/1:kick");
    let large = format!("{{\"qr\":\"{}\"}}", "x".repeat(5_000_000));
    for (method, path, body, status) in [
        ("POST", scan.as_str(), "{\"qr\":\"nonsense\"}", 400),
        ("POST", &scan, "{\"qr\":\"a,b,c,d,e\"}", 400),
        ("POST", &scan, "{}", 400),
        ("POST", &scan, "{\"qr\":1}", 400),
        ("POST", &scan, "{\"qr\":\"x\",\"more\":1}", 400),
        ("POST", &scan, "not json", 400),
        ("POST", &scan, "", 400),
        ("POST", &scan, &large, 413),
        ("POST", &code, "{\"code\":\"SHORT\"}", 400),
        ("POST", &code, "{\"code\":\"ABCD-1234\"}", 409),
        ("POST", &kick, "{\"kind\":\"gently\"}", 400),
        ("POST", &kick, "{\"kind\":\"close\"}", 404),
        ("POST", "/phones/15559999999:scan", "{\"qr\":\"x\"}", 404),
        ("POST", "/phones/1/devices/1:unlink", "", 404),
        ("POST", "/phones/15550000001/devices/one:unlink", "", 404),
        ("POST", "/phones", "{\"number\":\"+15550000001\",\"name\":\"A\"}", 400),
        ("POST", "/phones", "{\"number\":\"123456\",\"name\":\"A\"}", 400),
        ("POST", "/phones", "{\"number\":\"15550000009\",\"name\":\"\"}", 400),
        ("GET", "/phones", "", 405),
        ("GET", &scan, "", 405),
        ("DELETE", "/trust-anchor", "", 405),
        ("POST", "/phones/15550000001:dance", "{}", 404),
        ("GET", "/", "", 404),
        ("GET", "/phones/%ff", "", 404),
    ] {
        let (observed, head, answer) = fixture.send(method, path, body).await;
        assert_eq!(observed, status, "{method} {path}: {answer}");
        assert!(answer["error"]["code"].is_string() && answer["error"]["message"].is_string());
        assert_eq!(status == 405, head.contains("\r\nallow: "), "{head}");
    }
}

#[tokio::test]
async fn control_listens_on_loopback_only() {
    let simulator = Arc::new(network(Config::default()).await.0);
    let public = "[::]:0".parse().unwrap();
    assert!(matches!(Control::start(simulator, public).await, Err(StartError::NotLoopback(_))));
}
