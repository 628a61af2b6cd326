//! A listener with TLS: handshakes within the limits, plain peers, and replaced certificates.

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_listener::{
    Drained, HttpService, Limits, ListenerTls, handler_fn, serve_with_tls, testing::TestAuthority,
};
use hyper::{Request, Response};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::TEST_TIMEOUT;

const NAME: &str = "node.example";
/// The start of a TLS record with a handshake message, and of a client hello of 512 bytes.
const HALF_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

struct TlsServer {
    address: SocketAddr,
    authority: TestAuthority,
    folder: TempDir,
    stop: CancellationToken,
    served: JoinHandle<Drained>,
}

impl TlsServer {
    async fn start(limits: Limits) -> Self {
        let handler = handler_fn(|request: Request<Bytes>| async move {
            Response::new([b"answer to ", request.uri().path().as_bytes()].concat().into())
        });
        let (authority, folder) = (TestAuthority::default(), TempDir::new().unwrap());
        let files = authority.write(folder.path(), "tls", &[NAME]);
        let tls = ListenerTls::new(files).unwrap().with_interval(Duration::from_millis(5));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let service = HttpService::new(Arc::new(handler), limits);
        let served = tokio::spawn(serve_with_tls(listener, Some(tls), service, stop.clone()));
        Self { address, authority, folder, stop, served }
    }

    async fn plain(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Makes a handshake with these versions and protocols.
    async fn connect(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(NAME).unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, self.plain().await);
        timeout(TEST_TIMEOUT, connecting).await.unwrap()
    }

    /// Returns the certificate that a new connection is presented.
    async fn presented(&self) -> Vec<u8> {
        let stream = self.connect(&[&TLS13], &[]).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    async fn assert_answers(&self) {
        let text = exchange(self.connect(&[&TLS13], &[]).await.unwrap()).await;
        assert!(text.ends_with("\r\n\r\nanswer to /a"), "{text}");
    }

    fn write(&self, file: &str, text: &str) {
        // A file that is replaced in one step, as certbot and Kubernetes do it.
        let new = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.folder.path().join(file)).unwrap();
    }
}

async fn exchange(mut stream: TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    timeout(TEST_TIMEOUT, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

/// Reads to the end of a connection that the listener closes or resets.
async fn until_closed(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = timeout(TEST_TIMEOUT, stream.read_to_end(&mut bytes)).await.expect("open");
    bytes
}

#[tokio::test]
async fn requests_are_answered_over_both_versions_of_tls() {
    let server = TlsServer::start(Limits::default()).await;
    for version in [&TLS12, &TLS13] {
        let stream = server.connect(&[version], &["h2", "http/1.1"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let text = exchange(stream).await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\nanswer to /a"), "{text}");
    }
    assert!(server.connect(&[&TLS13], &["h2"]).await.is_err(), "no common protocol");
}

#[tokio::test]
async fn large_response_is_whole_for_a_slow_reader() {
    let server = TlsServer::start(Limits::default()).await;
    let mut stream = server.connect(&[&TLS13], &[]).await.unwrap();
    let path = "x".repeat(8_000);
    let request = format!("GET /{path} HTTP/1.1\r\nhost: x\r\n\r\n");
    // All requests are sent before the first response is read.
    for _ in 0..100 {
        stream.write_all(request.as_bytes()).await.unwrap();
    }
    let mut bytes = vec![0; 100 * path.len()];
    timeout(TEST_TIMEOUT, stream.read_exact(&mut bytes)).await.unwrap().unwrap();
}

#[tokio::test]
async fn silent_and_half_handshakes_end_beside_a_healthy_neighbour() {
    let first_request = Duration::from_millis(200);
    let server = TlsServer::start(Limits { first_request, ..Limits::default() }).await;
    let silent = server.plain().await;
    let mut half = server.plain().await;
    half.write_all(HALF_HELLO).await.unwrap();
    server.assert_answers().await;
    assert_eq!(until_closed(silent).await, b"");
    assert_eq!(until_closed(half).await, b"");
    // A handshake without a request ends, too.
    let mut idle = server.connect(&[&TLS13], &[]).await.unwrap();
    let mut bytes = Vec::new();
    let _ = timeout(TEST_TIMEOUT, idle.read_to_end(&mut bytes)).await.expect("open");
    assert_eq!(bytes, b"");
    server.assert_answers().await;
}

#[tokio::test]
async fn handshakes_take_the_places_of_connections_without_a_caller() {
    let limits = Limits { unauthenticated_connections: 3, ..Limits::default() };
    let server = TlsServer::start(limits).await;
    let mut halves = Vec::new();
    for _ in 0..3 {
        let mut half = server.plain().await;
        half.write_all(HALF_HELLO).await.unwrap();
        halves.push(half);
    }
    server.assert_answers().await;
    assert_eq!(until_closed(halves.remove(0)).await, b"", "the oldest makes room");
}

#[tokio::test]
async fn plain_request_is_closed_without_an_http_response() {
    let server = TlsServer::start(Limits::default()).await;
    let mut plain = server.plain().await;
    plain
        .write_all(b"GET /a HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\n\r\n")
        .await
        .unwrap();
    let bytes = until_closed(plain).await;
    assert!(!String::from_utf8_lossy(&bytes).contains("HTTP"), "{bytes:?}");
    assert!(bytes.is_empty() || bytes[0] == 21, "an alert: {bytes:?}");
    server.assert_answers().await;
}

#[tokio::test]
async fn replaced_certificate_is_presented_to_new_connections() {
    let server = TlsServer::start(Limits::default()).await;
    let mut open = server.connect(&[&TLS13], &[]).await.unwrap();
    let first = server.presented().await;
    let (certificate, key) = server.authority.issue(&[NAME], 3001);
    server.write("tls.pem", &certificate);
    assert_eq!(server.presented().await, first, "the key belongs to the former certificate");
    server.write("tls.key", &key);
    let second = timeout(TEST_TIMEOUT, async {
        loop {
            let presented = server.presented().await;
            if presented != first {
                return presented;
            }
        }
    });
    let expected = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    assert_eq!(second.await.unwrap(), expected.to_vec());
    // The connection from before the replacement goes on.
    open.write_all(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut start = [0; 15];
    timeout(TEST_TIMEOUT, open.read_exact(&mut start)).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn stop_ends_handshakes() {
    let server = TlsServer::start(Limits::default()).await;
    let mut half = server.plain().await;
    half.write_all(HALF_HELLO).await.unwrap();
    server.assert_answers().await;
    server.stop.cancel();
    let drained = timeout(TEST_TIMEOUT, server.served).await.unwrap().unwrap();
    assert_eq!(drained, Drained::Finished);
    assert_eq!(until_closed(half).await, b"");
}
