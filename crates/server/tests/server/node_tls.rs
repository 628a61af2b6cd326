//! TLS between the router and nodes: the listener for nodes, and calls to a node.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_client::{ClientError, HttpClient, Limits, roots_in_file};
use http_listener::{
    CertificateFiles, HttpService, ListenerTls, handler_fn, serve_with_tls, testing::TestAuthority,
};
use hyper::{Request, Response};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_util::sync::CancellationToken;

use crate::berth::{Berth, Folder, shown, text, until};

const TOKEN: &str =
    "a-token-that-is-longer-than-every-alert-of-tls-0123456789-0123456789-0123456789";
const DEADLINE: Duration = Duration::from_secs(30);

/// Writes the certificate of an authority into a file and returns the path.
fn write_authority(folder: &Folder, name: &str, authority: &TestAuthority) -> String {
    shown(&folder.write(name, authority.pem()))
}

/// Registers `gw-1` at this address with the certificate of the listener's host `localhost`.
async fn register(berth: &Berth, authorities: &Path, address: &str) -> Result<u16, ClientError> {
    let limits =
        Limits { connect: DEADLINE, idle: DEADLINE, idle_per_host: 0, response_bytes: 1 << 20 };
    let client = HttpClient::new(roots_in_file(authorities).unwrap(), limits).unwrap();
    let port = berth.address("node_listen").rsplit(':').next().unwrap().to_owned();
    let body = format!(
        r#"{{"incarnation":"x","address":"{address}","version":"t","features":[],"capacity":9}}"#
    );
    let request = Request::post(format!("https://localhost:{port}/node/v1/gateways/gw-1:enlist"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(Bytes::from(body))
        .unwrap();
    client.send(request, DEADLINE).await.map(|answer| answer.status().as_u16())
}

fn serve(folder: &Folder, files: &CertificateFiles, authorities: &str) -> Berth {
    folder.serve_with(&[
        ("BERTH_NODE_TOKENS", &format!("gw-1={TOKEN}")),
        ("BERTH_NODE_TLS_CERT", &shown(&files.certificate)),
        ("BERTH_NODE_TLS_KEY", &shown(&files.key)),
        ("BERTH_NODE_TLS_CA", authorities),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_register_over_tls_alone() {
    let (folder, authority) = (Folder::new(), TestAuthority::default());
    let files = authority.write(&folder.path(""), "router", &["localhost"]);
    let trusted = write_authority(&folder, "ca.pem", &authority);
    let foreign = write_authority(&folder, "foreign.pem", &TestAuthority::default());
    let berth = serve(&folder, &files, &trusted);
    let log = berth.logged("the listener for nodes speaks TLS");
    assert_eq!(log["expires_at"], "3000-01-01T00:00:00Z");
    let address = "https://localhost:9";
    assert_eq!(register(&berth, Path::new(&trusted), address).await.unwrap(), 200);
    let refused = register(&berth, Path::new(&foreign), address).await.unwrap_err();
    assert!(matches!(refused, ClientError::UntrustedCertificate(_)), "{refused:?}");
    let mut plain = TcpStream::connect(berth.address("node_listen")).unwrap();
    plain.set_read_timeout(Some(DEADLINE)).unwrap();
    plain.write_all(b"POST /node/v1/gateways/gw-1:enlist HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes);
    assert!(!String::from_utf8_lossy(&bytes).contains("HTTP"), "{bytes:?}");
    // The other listeners speak plain HTTP.
    assert_eq!(berth.get("ops_listen", "/readyz", None).status, 200);
}

/// A node with TLS behind a tap that records the bytes of its callers.
struct TappedNode {
    url: String,
    /// The bytes that callers sent, one entry for each connection that has ended.
    taken: Arc<Mutex<Vec<Vec<u8>>>>,
    tokens: Arc<Mutex<Vec<String>>>,
    requests: Arc<AtomicUsize>,
}

impl TappedNode {
    async fn start(files: CertificateFiles) -> Self {
        let (tokens, requests) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicUsize>::default());
        let (recorded, counted) = (tokens.clone(), requests.clone());
        let handler = handler_fn(move |request: Request<Bytes>| {
            counted.fetch_add(1, Ordering::SeqCst);
            let token = request.headers()["authorization"].to_str().unwrap().to_owned();
            recorded.lock().unwrap().push(token);
            async { Response::new(Bytes::from_static(b"{}")) }
        });
        let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = node.local_addr().unwrap();
        let service = HttpService::new(Arc::new(handler), http_hyper::Limits::default());
        let tls = Some(ListenerTls::new(files).unwrap());
        tokio::spawn(serve_with_tls(node, tls, service, CancellationToken::new()));
        let tap = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", tap.local_addr().unwrap().port());
        let taken = Arc::<Mutex<Vec<_>>>::default();
        let entries = taken.clone();
        tokio::spawn(async move {
            while let Ok((caller, _)) = tap.accept().await {
                let to_node = tokio::net::TcpStream::connect(address).await.unwrap();
                tokio::spawn(record(caller, to_node, entries.clone()));
            }
        });
        Self { url, taken, tokens, requests }
    }
}

/// Passes the bytes of a connection on until the caller closes, and records those of the caller.
async fn record(
    caller: tokio::net::TcpStream,
    node: tokio::net::TcpStream,
    entries: Arc<Mutex<Vec<Vec<u8>>>>,
) {
    let ((mut from_caller, mut to_caller), (mut from_node, mut to_node)) =
        (caller.into_split(), node.into_split());
    tokio::spawn(async move { tokio::io::copy(&mut from_node, &mut to_caller).await });
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = from_caller.read(&mut buffer).await {
        bytes.extend_from_slice(&buffer[..count]);
        let _ = to_node.write_all(&buffer[..count]).await;
    }
    entries.lock().unwrap().push(bytes);
}

/// Returns the content type and the length of each TLS record (RFC 8446, section 5.1).
fn records(mut bytes: &[u8]) -> Vec<(u8, usize)> {
    let mut records = Vec::new();
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        records.push((*kind, length));
        bytes = rest.get(length..).unwrap_or_default();
    }
    records
}

/// Starts a router that trusts one of two authorities, and a node with a certificate for `name` of the
/// first one. The node registers, and a session is created.
async fn router_and_node(folder: &Folder, trusts_node: bool, name: &str) -> (Berth, TappedNode) {
    let [first, second] = [TestAuthority::default(), TestAuthority::default()];
    let node = TappedNode::start(first.write(&folder.path(""), "node", &[name])).await;
    let files = second.write(&folder.path(""), "router", &["localhost"]);
    let [of_node, of_router] = [("first.pem", &first), ("second.pem", &second)]
        .map(|(name, of)| write_authority(folder, name, of));
    let key = folder.key("acme", &[]);
    let berth = serve(folder, &files, if trusts_node { &of_node } else { &of_router });
    assert_eq!(register(&berth, Path::new(&of_router), &node.url).await.unwrap(), 200);
    let made = berth.post("listen", "/api/v1/sessions", &key, r#"{"start":true}"#);
    assert_eq!(made.status, 201, "{}", made.body);
    (berth, node)
}

#[tokio::test(flavor = "multi_thread")]
async fn router_calls_a_node_whose_certificate_it_trusts() {
    let folder = Folder::new();
    let (_berth, node) = router_and_node(&folder, true, "localhost").await;
    let token = until(|| node.tokens.lock().unwrap().first().cloned()).expect("no call");
    assert_eq!(token, format!("Bearer {TOKEN}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn router_sends_nothing_to_a_node_whose_certificate_it_does_not_trust() {
    for (trusts_node, name, why) in [
        (false, "localhost", "trusted authorities"),
        (true, "other.example", "does not name the host"),
    ] {
        let folder = Folder::new();
        let (berth, node) = router_and_node(&folder, trusts_node, name).await;
        let warned = berth.logged("a node cannot be called; nothing was sent to it");
        assert_eq!(
            (&warned["gateway"], &warned["address"]),
            (&"gw-1".into(), &node.url.as_str().into())
        );
        assert!(warned["error"].as_str().unwrap().contains(why), "{warned}");
        let taken = until(|| node.taken.lock().unwrap().first().cloned()).expect("no connection");
        // A ClientHello, and then a change of cipher and an alert, which are shorter than the token.
        let records = records(&taken);
        let (hello, others) = records.split_first().unwrap();
        assert_eq!(hello.0, 22, "{records:?}");
        let rest: usize = others.iter().map(|(_, length)| length).sum();
        assert!(rest < TOKEN.len(), "{records:?}");
        assert_eq!(node.requests.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn unusable_files_are_refused_by_the_name_of_the_setting() {
    let (folder, authority) = (Folder::new(), TestAuthority::default());
    let files = authority.write(&folder.path(""), "router", &["localhost"]);
    let other = authority.write(&folder.path(""), "other", &["localhost"]);
    let empty = folder.write("empty.pem", "");
    let (good, key) = (shown(&files.certificate), shown(&files.key));
    let (empty, other) = (shown(&empty), shown(&other.key));
    let tokens = format!("gw-1={TOKEN}");
    for (certificate, key, ca, tokens, name, why) in [
        (good.as_str(), "", "", tokens.as_str(), "node_tls_key", "set both or neither"),
        ("", key.as_str(), "", &tokens, "node_tls_cert", "set both or neither"),
        ("missing.pem", &key, "", &tokens, "node_tls_cert", "cannot be read"),
        (&empty, &key, "", &tokens, "node_tls_cert", "no certificate in PEM"),
        (&good, &good, "", &tokens, "node_tls_key", "no private key in PEM"),
        (&good, &other, "", &tokens, "node_tls_key", "does not belong"),
        (&good, &key, &empty, &tokens, "node_tls_ca", "no certificate in PEM"),
        ("", "", "missing.pem", &tokens, "node_tls_ca", "cannot be read"),
        (&good, &key, "", "", "node_tls_cert", "local gateway"),
    ] {
        let mut command = folder.serve_command();
        command.env("BERTH_NODE_TLS_CERT", certificate).env("BERTH_NODE_TLS_KEY", key);
        command.env("BERTH_NODE_TLS_CA", ca).env("BERTH_NODE_TOKENS", tokens);
        let ended = command.output().unwrap();
        let error = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{error}");
        assert!(error.contains(&format!("the setting {name} is wrong")), "{error}");
        assert!(error.contains(why), "{error}");
    }
    assert!(!folder.names().contains(&"berth.db".to_owned()), "a database was created");
}

#[test]
fn doctor_tells_the_days_of_the_certificate_and_its_faults() {
    let (folder, authority) = (Folder::new(), TestAuthority::default());
    let files = authority.write(&folder.path(""), "router", &["localhost"]);
    let check = || {
        let mut command = folder.command(&["doctor", "--node-listen", "127.0.0.1:0"]);
        command.env("BERTH_NODE_TOKENS", format!("gw-1={TOKEN}"));
        command.env("BERTH_NODE_TLS_CERT", &files.certificate);
        command.env("BERTH_NODE_TLS_KEY", &files.key);
        command.env("BERTH_NODE_TLS_CA", &files.certificate);
        text(&command.output().unwrap().stdout)
    };
    let well = check();
    assert!(well.contains("ok       node_tls: the certificate is valid for"), "{well}");
    assert!(well.contains("until 3000-01-01T00:00:00Z"), "{well}");
    assert!(well.contains("ok       node_tls: 1 authorities of nodes are trusted"), "{well}");
    let (expired, key) = authority.issue(&["localhost"], 2020);
    std::fs::write(&files.certificate, expired).unwrap();
    let unlike = check();
    assert!(unlike.contains("fault    node_tls: the setting node_tls_key is wrong"), "{unlike}");
    std::fs::write(&files.key, key).unwrap();
    let expired = check();
    assert!(
        expired.contains("fault    node_tls: the certificate expired at 2020-01-01T00:00:00Z"),
        "{expired}"
    );
}
