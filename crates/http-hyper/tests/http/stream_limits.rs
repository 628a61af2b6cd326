//! Limits and ends of event streams: their number, credentials that end, the stop of the router,
//! and clients that do not read.

use std::time::{Duration, Instant};

use domain::{Capability, KeySpec, testing::World};
use http_hyper::{Drained, Limits};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    time::timeout,
};

use crate::{
    client::{GENEROUS, Version, ask, one_answer, send},
    event_client::EventClient,
    test_server::{TestServer, another_router, listen},
};

/// Creates a key of acme with all capabilities; its id is its credential.
pub(crate) async fn managing_key(server: &TestServer, lifetime: Option<Duration>) -> String {
    let now = domain::ports::Environment::now(&*server.world.environment);
    let spec = KeySpec {
        name: "stream".to_owned(),
        capabilities: Capability::ALL.into_iter().collect(),
        expires_at: lifetime.map(|lifetime| now.plus(lifetime)),
        sessions: None,
    };
    server.world.keys.create(&World::acme(), spec, None).await.unwrap().key.id.to_string()
}

async fn open(server: &TestServer, caller: &str) -> EventClient {
    let mut stream = EventClient::open(server.address, caller, "", "").await;
    assert_eq!(stream.status, 200, "{caller}");
    stream.block().await.unwrap();
    stream
}

/// Asks for a stream that is over a limit.
async fn assert_too_many(server: &TestServer, caller: &str) {
    let refused = EventClient::open(server.address, caller, "", "").await;
    assert_eq!(refused.status, 429, "{caller}");
    assert_eq!(refused.headers["retry-after"], "10");
    assert_eq!(refused.error().await["error"]["code"], "rate_limited");
}

#[tokio::test]
async fn streams_are_limited_per_credential_organization_and_router() {
    let limits = Limits { streams_per_member: 2, streams_per_group: 3, ..Limits::default() };
    let server = TestServer::with(limits).await;
    let key = managing_key(&server, None).await;
    let mut streams = vec![open(&server, "acme").await, open(&server, "acme").await];
    assert_too_many(&server, "acme").await;
    streams.push(open(&server, &key).await);
    assert_too_many(&server, &key).await;
    streams.push(open(&server, "zeta").await);
    for _ in 0..500 {
        assert_too_many(&server, "acme").await;
    }
    server.world.acme_session().await;
    assert_eq!(streams[0].event().await["event"], "session.created");
    // A page is no stream.
    assert_eq!(server.ask("acme", "GET", "/api/v1/events").await.status, 200);
    streams.remove(0);
    let mut again = EventClient::open(server.address, &key, "", "").await;
    while again.status == 429 {
        // The server has not seen the end of the closed stream.
        again = EventClient::open(server.address, &key, "", "").await;
    }
    assert_eq!(again.status, 200);

    let full = TestServer::with(Limits { streams: 1, ..Limits::default() }).await;
    let _only = open(&full, "acme").await;
    assert_too_many(&full, "zeta").await;
}

#[tokio::test]
async fn streams_hold_no_permits_of_requests() {
    let limits = Limits { requests: 3, waiting: 3, ..Limits::default() };
    let server = TestServer::with(limits).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(open(&server, "acme").await);
    }
    assert_eq!(server.ask("acme", "GET", "/api/v1/sessions").await.status, 200);
}

#[tokio::test]
async fn revocation_ends_streams_on_every_router_within_a_second() {
    let server = TestServer::open().await;
    let other = another_router(&server.world, &server.authenticator, &server.checks);
    let (address, _stop, _served) = listen(other.public(Limits::default())).await;
    let (key, other_key) = (managing_key(&server, None).await, managing_key(&server, None).await);
    let mut streams = Vec::new();
    for to in [server.address, address] {
        let mut stream = EventClient::open(to, &key, "", "").await;
        stream.block().await.unwrap();
        streams.push(stream);
    }
    let mut neighbour = EventClient::open(address, &other_key, "", "").await;
    neighbour.block().await.unwrap();
    let since = Instant::now();
    let revoked = server.ask("acme", "DELETE", &format!("/api/v1/api-keys/{key}")).await;
    assert_eq!(revoked.status, 204);
    for stream in streams {
        stream.rest().await;
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    }
    assert_eq!(neighbour.event().await["event"], "api_key.revoked", "another key's stream goes on");
}

#[tokio::test]
async fn revocation_ends_the_wait_of_a_page() {
    let server = TestServer::open().await;
    let key = managing_key(&server, None).await;
    let waiting = server.ask(&key, "GET", "/api/v1/events?wait=30&event=session.*");
    let revoked = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.world.keys.revoke(&World::acme(), &key).await.unwrap();
        Instant::now()
    };
    let (answer, since) = tokio::join!(waiting, revoked);
    assert_eq!(answer.status, 401);
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
}

#[tokio::test]
async fn expiry_ends_streams() {
    let server = TestServer::open().await;
    let key = managing_key(&server, Some(Duration::from_secs(60))).await;
    let (stream, mut neighbour) = (open(&server, &key).await, open(&server, "acme").await);
    server.world.environment.advance(Duration::from_secs(59));
    server.world.acme_session().await;
    assert_eq!(neighbour.event().await["event"], "session.created");
    let since = Instant::now();
    server.world.environment.advance(Duration::from_secs(1));
    assert_eq!(stream.rest().await.len(), 1, "the event before");
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    server.world.acme_session().await;
    assert_eq!(neighbour.event().await["event"], "session.created");
}

#[tokio::test]
async fn streams_survive_an_outage_of_the_store() {
    let server = TestServer::open().await;
    let key = managing_key(&server, None).await;
    let mut stream = open(&server, &key).await;
    server.world.memory.set_down(true);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    server.world.memory.set_down(false);
    server.world.acme_session().await;
    assert_eq!(stream.event().await["event"], "session.created");
}

#[tokio::test]
async fn stop_ends_streams_and_waiting_pages() {
    let server = TestServer::open().await;
    let stream = open(&server, "acme").await;
    let address = server.address;
    let waiting = tokio::spawn(async move {
        let request = ask("GET", "/api/v1/events?wait=30").header("accept", "application/json");
        send(address, Version::One, request.header("x-api-key", "acme"), "").await
    });
    while server.authenticator.asked.load(std::sync::atomic::Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    let since = Instant::now();
    assert_eq!(server.stopped().await, Drained::Finished);
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    assert!(stream.rest().await.is_empty());
    // The page may have been refused before its wait began.
    assert!([200, 503].contains(&waiting.await.unwrap().status.as_u16()));
}

#[tokio::test]
async fn client_that_never_reads_is_ended_and_its_neighbour_is_not() {
    let stall = Duration::from_millis(500);
    let server = TestServer::with(Limits { stream_stall: stall, ..Limits::default() }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut silent = socket.connect(server.address).await.unwrap();
    let head = "GET /api/v1/events HTTP/1.1\r\nhost: x\r\nx-api-key: acme\r\n\r\n";
    silent.write_all(head.as_bytes()).await.unwrap();
    let mut neighbour = open(&server, "acme").await;
    let since = Instant::now();
    // More than the socket of the silent client holds, while the neighbour reads all.
    while since.elapsed() < 4 * stall {
        server.world.acme_session().await;
        assert_eq!(neighbour.event().await["event"], "session.created");
    }
    // The end may be a reset, because the server drops what the client did not read.
    let mut text = Vec::new();
    let _ = timeout(GENEROUS, silent.read_to_end(&mut text)).await.expect("it ends in time");
    assert!(text.starts_with(b"HTTP/1.1 200 ") && !text.ends_with(b"0\r\n\r\n"), "it is cut off");
    server.world.acme_session().await;
    neighbour.event().await;
}

#[tokio::test]
async fn connection_serves_requests_after_a_refused_stream() {
    let server = TestServer::with(Limits { streams_per_member: 0, ..Limits::default() }).await;
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    for (path, status) in [("/api/v1/events", 429), ("/api/v1/sessions", 200)] {
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-api-key: acme\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(one_answer(&mut stream).await.status, status);
    }
}
