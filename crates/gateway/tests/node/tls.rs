//! TLS between a node and its router: the calls to the router, and the node's listener.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use bytes::Bytes;
use http_client::{ClientError, HttpClient, Limits, roots_in_file};
use http_listener::{
    CertificateFiles, HttpService, ListenerTls, handler_fn, serve_with_tls, testing::TestAuthority,
};
use hyper::{Request, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::program::{TOKEN, nowhere, program, wait_for_line};

const DEADLINE: Duration = Duration::from_secs(30);

/// A call that reached the router: its path, its token and its body.
type Call = (String, String, Value);

/// Starts a router with TLS that accepts each call; returns its address and the calls.
async fn router(files: CertificateFiles) -> (SocketAddr, mpsc::Receiver<Call>) {
    let (sender, calls) = mpsc::channel();
    let sender = Mutex::new(sender);
    let handler = handler_fn(move |request: Request<Bytes>| {
        let token = request.headers()["authorization"].to_str().unwrap().to_owned();
        let path = request.uri().path().to_owned();
        let body = serde_json::from_slice(request.body()).unwrap();
        let _ = sender.lock().unwrap().send((path, token, body));
        let answer = json!({ "boot": 1, "leaseMs": 60_000, "beatMs": 50, "lost": [], "through": {}, "gone": [] });
        async move { Response::new(answer.to_string().into()) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = HttpService::new(Arc::new(handler), http_listener::Limits::default());
    let tls = Some(ListenerTls::new(files).unwrap());
    tokio::spawn(serve_with_tls(listener, tls, service, CancellationToken::new()));
    (address, calls)
}

/// A node that ends with its value.
struct NodeProcess(Child);

impl Drop for NodeProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(data: &Path, router: &str, authorities: &Path) -> Command {
    let mut command = program(data, router, nowhere());
    command.env("BERTH_NODE_TLS_CA", authorities);
    command
}

fn with_certificate(command: &mut Command, files: &CertificateFiles) {
    command.env("BERTH_GATEWAY_TLS_CERT", &files.certificate);
    command.env("BERTH_GATEWAY_TLS_KEY", &files.key);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_directions_use_tls_with_a_private_authority() {
    let (folder, authority) = (TempDir::new().unwrap(), TestAuthority::default());
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let (at, calls) = router(authority.write(folder.path(), "router", &["localhost"])).await;
    let url = format!("https://localhost:{}", at.port());
    let mut node = command(&folder.path().join("data"), &url, &ca);
    with_certificate(&mut node, &authority.write(folder.path(), "node", &["127.0.0.1"]));
    let _node = NodeProcess(node.spawn().unwrap());
    let (path, token, body) = calls.recv_timeout(DEADLINE).unwrap();
    assert_eq!(
        (path.as_str(), token),
        ("/node/v1/gateways/gw-test:enlist", format!("Bearer {TOKEN}"))
    );
    let address = body["address"].as_str().unwrap().to_owned();
    assert!(address.starts_with("https://127.0.0.1:"), "{address}");
    let (path, ..) = calls.recv_timeout(DEADLINE).unwrap();
    assert_eq!(path, "/node/v1/gateways/gw-test:beat");
    // The router calls the node.
    let limits =
        Limits { connect: DEADLINE, idle: DEADLINE, idle_per_host: 0, response_bytes: 1 << 20 };
    let client = HttpClient::new(roots_in_file(&ca).unwrap(), limits).unwrap();
    let health = |base: &str, token: &str| {
        let request = Request::get(format!("{base}/node/v1/health"));
        let request = request.header("authorization", format!("Bearer {token}"));
        client.send(request.body(Bytes::new()).unwrap(), DEADLINE)
    };
    assert_eq!(health(&address, TOKEN).await.unwrap().status(), 200);
    // TLS replaces no token.
    assert_eq!(health(&address, "another").await.unwrap().status(), 401);
    let plain = health(&address.replace("https", "http"), TOKEN).await;
    assert!(matches!(plain, Err(ClientError::Transport(_))), "{plain:?}");
}

/// Passes connections on to a router; returns the port, and all bytes that the caller of each connection
/// sent.
fn tapped(router: SocketAddr) -> (u16, mpsc::Receiver<Vec<u8>>) {
    let (sender, bytes) = mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for caller in listener.incoming().map_while(Result::ok) {
            let mut node = caller.try_clone().unwrap();
            let mut behind = TcpStream::connect(router).unwrap();
            let mut answers = behind.try_clone().unwrap();
            std::thread::spawn(move || std::io::copy(&mut answers, &mut node));
            let (mut caller, mut all, mut buffer) = (caller, Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = caller.read(&mut buffer) {
                all.extend_from_slice(&buffer[..count]);
                let _ = behind.write_all(&buffer[..count]);
            }
            let _ = sender.send(all);
        }
    });
    (port, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_leaves_to_a_router_whose_certificate_is_not_trusted() {
    let [trusted, foreign] = [TestAuthority::default(), TestAuthority::default()];
    for (authority, name, why) in [
        (&foreign, "localhost", "its issuer is none of the trusted authorities"),
        (&trusted, "other.example", "it does not name the host of the URL"),
    ] {
        let folder = TempDir::new().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, trusted.pem()).unwrap();
        let (at, calls) = router(authority.write(folder.path(), "router", &[name])).await;
        let (port, sent) = tapped(at);
        let url = format!("https://localhost:{port}");
        let node = command(&folder.path().join("data"), &url, &ca).spawn().unwrap();
        let mut node = NodeProcess(node);
        let line = wait_for_line(&mut node.0, "registration failed");
        assert!(line.contains("the certificate of the server is not trusted"), "{line}");
        assert!(line.contains(why), "{line}");
        let sent = sent.recv_timeout(DEADLINE).unwrap();
        // A record with the ClientHello, and then no more than an alert, which is shorter than a
        // request with the token.
        assert_eq!(sent[0], 22, "{sent:?}");
        let hello = 5 + usize::from(u16::from_be_bytes([sent[3], sent[4]]));
        assert!(sent.len() < hello + 64, "{} bytes after the hello", sent.len() - hello);
        assert!(!sent.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()));
        assert!(calls.try_recv().is_err(), "a call arrived");
    }
}

#[test]
fn unusable_settings_are_refused_by_name() {
    let (folder, authority) = (TempDir::new().unwrap(), TestAuthority::default());
    let files = authority.write(folder.path(), "node", &["127.0.0.1"]);
    let other = authority.write(folder.path(), "other", &["127.0.0.1"]);
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let (certificate, key) = (files.certificate.to_str().unwrap(), files.key.to_str().unwrap());
    let (empty, other) = (empty.to_str().unwrap(), other.key.to_str().unwrap());
    for (variables, words) in [
        ([certificate, "", "", ""], ["BERTH_GATEWAY_TLS_KEY", "set both or neither"]),
        (["", key, "", ""], ["BERTH_GATEWAY_TLS_CERT", "set both or neither"]),
        (["missing.pem", key, "", ""], ["BERTH_GATEWAY_TLS_CERT", "cannot be read"]),
        ([empty, key, "", ""], ["BERTH_GATEWAY_TLS_CERT", "no certificate in PEM"]),
        ([certificate, other, "", ""], ["BERTH_GATEWAY_TLS_KEY", "does not belong"]),
        (["", "", empty, ""], ["BERTH_NODE_TLS_CA", "no certificate in PEM"]),
        ([certificate, key, "", "http://gw-1:9000"], ["--advertise", "https://"]),
    ] {
        let data = folder.path().join("data");
        let mut command = program(&data, "https://127.0.0.1:9", nowhere());
        let names = [
            "BERTH_GATEWAY_TLS_CERT",
            "BERTH_GATEWAY_TLS_KEY",
            "BERTH_NODE_TLS_CA",
            "BERTH_GATEWAY_ADVERTISE",
        ];
        command.envs(names.into_iter().zip(variables));
        let ended = command.stdin(std::process::Stdio::null()).output().unwrap();
        let error = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
        assert!(!data.exists(), "a data folder was created");
    }
}

/// Runs the self-check of a node.
fn doctor(data: &Path, router: &str, variables: &[(&str, &Path)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth-gateway"));
    command.args(["doctor", "--id", "gw-test", "--router", router, "--data"]).arg(data);
    command.env_clear().env("BERTH_NODE_TOKEN", TOKEN).envs(variables.iter().copied());
    command.envs(nowhere().map(|url| ("BERTH_WHATSAPP_URL", url)));
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_faults_of_certificates() {
    let (folder, authority) = (TempDir::new().unwrap(), TestAuthority::default());
    let [ca, foreign, data] =
        ["ca.pem", "foreign.pem", "data"].map(|name| folder.path().join(name));
    std::fs::write(&ca, authority.pem()).unwrap();
    std::fs::write(&foreign, TestAuthority::default().pem()).unwrap();
    let (at, _calls) = router(authority.write(folder.path(), "router", &["localhost"])).await;
    let url = format!("https://localhost:{}", at.port());
    let files = authority.write(folder.path(), "node", &["127.0.0.1"]);
    let own: [(&str, &Path); 2] =
        [("BERTH_GATEWAY_TLS_CERT", &files.certificate), ("BERTH_GATEWAY_TLS_KEY", &files.key)];
    let with = |more: [(&'static str, &Path); 1]| doctor(&data, &url, &[&own[..], &more].concat());
    let well = with([("BERTH_NODE_TLS_CA", &ca)]);
    assert!(well.contains("ok       tls: the certificate is valid for"), "{well}");
    assert!(well.contains("ok       tls: 1 authorities of routers are trusted"), "{well}");
    assert!(!well.contains("is not trusted"), "{well}");
    let untrusted = with([("BERTH_NODE_TLS_CA", &foreign)]);
    let line = untrusted.lines().find(|line| line.starts_with("fault    router: ")).unwrap();
    assert!(line.contains(&url) && line.contains("is not trusted"), "{line}");
    assert!(line.contains("BERTH_NODE_TLS_CA"), "{line}");
    let unlike = with([("BERTH_GATEWAY_ADVERTISE", Path::new("https://gw-1.internal:9000"))]);
    assert!(unlike.contains("fault    tls: the certificate does not name the host"), "{unlike}");
}
