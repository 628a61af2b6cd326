//! Deadlines, limits and certificate checks against servers on loopback.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{Request, StatusCode};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{ClientError, HttpClient, Limits, roots_in_file, system_roots};

const DEADLINE: Duration = Duration::from_secs(20);

fn client(roots: RootCertStore) -> HttpClient {
    let limits = Limits { connect: DEADLINE, idle: DEADLINE, idle_per_host: 0, response_bytes: 8 };
    HttpClient::new(roots, limits).unwrap()
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

/// Starts a TLS server for `localhost` that answers every request with the body `keys`; returns its port
/// and its certificate, also in PEM.
async fn tls_server() -> (u16, CertificateDer<'static>, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, pem) = (made.cert.der().clone(), made.cert.pem());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nkeys").await;
        }
    });
    (port, certificate, pem)
}

/// Starts a plain server that answers one request with `response`; returns its URL.
async fn plain_server(response: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(response.as_bytes()).await;
    });
    url
}

#[tokio::test]
async fn tls_certificate_must_name_the_host() {
    let (port, certificate, _) = tls_server().await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = client(roots);
    let named = get(&format!("https://localhost:{port}/"));
    assert_eq!(client.send(named, DEADLINE).await.unwrap().body(), "keys");
    let other = get(&format!("https://127.0.0.1:{port}/"));
    let error = client.send(other, DEADLINE).await.unwrap_err();
    assert!(matches!(error, ClientError::UntrustedCertificate(_)), "{error:?}");
    assert!(error.to_string().contains("does not name the host of the URL"), "{error}");
}

#[tokio::test]
async fn server_without_tls_is_named() {
    let url = plain_server("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let request = get(&url.replace("http://", "https://"));
    let answer = client(RootCertStore::empty()).send(request, DEADLINE).await;
    assert!(matches!(answer, Err(ClientError::NoTls)), "{answer:?}");
}

#[tokio::test]
async fn roots_in_a_file_are_trusted() {
    let (port, _, text) = tls_server().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, format!("# comment\n{text}")).unwrap();
    let client = client(roots_in_file(&file).unwrap());
    let request = get(&format!("https://localhost:{port}/"));
    assert_eq!(client.send(request, DEADLINE).await.unwrap().body(), "keys");
    for (text, word) in [
        (String::new(), "has no certificate in PEM"),
        ("canary".to_owned(), "has no certificate in PEM"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            "has an invalid certificate",
        ),
        (text[..text.len() / 2].to_owned(), "has an invalid certificate"),
        (" ".repeat(4 * 1024 * 1024 + 1), "longer than 4 MiB"),
    ] {
        std::fs::write(&file, text).unwrap();
        let error = roots_in_file(&file).unwrap_err().to_string();
        assert!(error.contains("ca.pem") && error.contains(word), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
    let missing = roots_in_file(&folder.path().join("missing.pem")).unwrap_err().to_string();
    assert!(missing.contains("missing.pem cannot be read: No such file"), "{missing}");
}

#[tokio::test]
async fn tls_certificate_of_an_unknown_authority_is_rejected() {
    let (port, _, _) = tls_server().await;
    for roots in [RootCertStore::empty(), system_roots().unwrap_or_else(|_| RootCertStore::empty())]
    {
        let request = get(&format!("https://localhost:{port}/"));
        let error = client(roots).send(request, DEADLINE).await.unwrap_err();
        assert!(matches!(error, ClientError::UntrustedCertificate(_)), "{error:?}");
        assert!(error.to_string().contains("none of the trusted authorities"), "{error}");
    }
}

#[tokio::test]
async fn deadline_ends_an_exchange_with_a_silent_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request = get(&format!("http://{}/", listener.local_addr().unwrap()));
    let answer = client(RootCertStore::empty()).send(request, Duration::from_millis(20)).await;
    assert!(matches!(answer, Err(ClientError::DeadlineExceeded(_))), "{answer:?}");
}

#[tokio::test]
async fn response_body_over_the_limit_is_rejected() {
    let client = client(RootCertStore::empty());
    let fits = plain_server("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n12345678").await;
    assert_eq!(client.send(get(&fits), DEADLINE).await.unwrap().body(), "12345678");
    let long = plain_server("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789").await;
    let answer = client.send(get(&long), DEADLINE).await;
    assert!(matches!(answer, Err(ClientError::ResponseTooLong(8))), "{answer:?}");
}

#[tokio::test]
async fn redirect_is_returned_and_not_followed() {
    let client = client(RootCertStore::empty());
    let response =
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let url = plain_server(response).await;
    assert_eq!(client.send(get(&url), DEADLINE).await.unwrap().status(), 302);
}

#[tokio::test]
async fn fetch_fails_with_the_status_and_reads_no_body() {
    let client = client(RootCertStore::empty());
    // The body of 404 would be too long, and never ends.
    let url = plain_server("HTTP/1.1 404 Not Found\r\ncontent-length: 99\r\n\r\n123456789").await;
    let answer = client.fetch(get(&url), DEADLINE).await;
    assert!(matches!(answer, Err(ClientError::Status(StatusCode::NOT_FOUND))), "{answer:?}");
    let url = plain_server("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nkeys").await;
    assert_eq!(client.fetch(get(&url), DEADLINE).await.unwrap().body(), "keys");
}

#[tokio::test]
async fn request_that_was_written_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        // Closes the connection after the request.
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        listener
    });
    let answer = client(RootCertStore::empty()).send(get(&url), DEADLINE).await;
    assert!(matches!(answer, Err(ClientError::Transport(_))), "{answer:?}");
    let listener = server.await.unwrap();
    let second = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(second.is_err(), "the request was sent again");
}
