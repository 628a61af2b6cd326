//! Tickets and the `WebSocket` connections that they open.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use domain::testing::World;
use futures_util::{SinkExt, StreamExt, future::join_all};
use http_hyper::{Drained, Limits};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message},
};

use crate::{
    client::{GENEROUS, ReceivedResponse, Version, ask, send},
    stream_limits::managing_key,
    test_server::{TestServer, another_router, listen},
};

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// Returns a new ticket of a caller.
pub(crate) async fn ticket(server: &TestServer, caller: &str) -> String {
    let answer = server.ask(caller, "POST", "/api/v1/realtime/ticket").await;
    assert_eq!(answer.status, 200);
    answer.json()["ticket"].as_str().unwrap().to_owned()
}

/// Opens a WebSocket; returns the status of the response otherwise.
pub(crate) async fn connect(to: SocketAddr, query: &str) -> Result<Socket, u16> {
    let stream = TcpStream::connect(to).await.unwrap();
    let url = format!("ws://berth.test/api/v1/realtime?{query}");
    match timeout(GENEROUS, client_async(url, stream)).await.unwrap() {
        Ok((socket, response)) => {
            assert_eq!(response.status(), 101);
            Ok(socket)
        }
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// Opens a WebSocket of a caller with a new ticket.
pub(crate) async fn open(server: &TestServer, caller: &str, query: &str) -> Socket {
    let ticket = ticket(server, caller).await;
    connect(server.address, &format!("ticket={ticket}&{query}")).await.expect("a WebSocket")
}

/// Returns the next text frame.
pub(crate) async fn event(socket: &mut Socket) -> Value {
    loop {
        match timeout(GENEROUS, socket.next()).await.expect("a frame in time") {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
            Some(Ok(Message::Ping(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Returns the code and the reason of the close, and passes over events.
pub(crate) async fn closed(socket: &mut Socket) -> (u16, String) {
    loop {
        match timeout(GENEROUS, socket.next()).await.expect("a close in time") {
            Some(Ok(Message::Close(Some(frame)))) => {
                return (frame.code.into(), frame.reason.to_string());
            }
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn plain(to: SocketAddr, query: &str) -> ReceivedResponse {
    let request = ask("GET", &format!("/api/v1/realtime?{query}"))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    send(to, Version::One, request, "").await
}

#[tokio::test]
async fn socket_sends_the_events_of_the_audit_log() {
    let server = TestServer::open().await;
    let mut live = open(&server, "acme", "").await;
    let mut filtered = open(&server, "acme", "event=auth.*").await;
    server.linked().await;
    let page = server.ask("acme", "GET", "/api/v1/audit?limit=200").await.json();
    let events: Vec<_> = page["data"].as_array().unwrap().iter().rev().cloned().collect();
    let mut late =
        open(&server, "acme", &format!("after={}", events[0]["id"].as_str().unwrap())).await;
    for (index, known) in events.iter().enumerate() {
        assert_eq!(event(&mut live).await, *known);
        if index > 0 {
            assert_eq!(event(&mut late).await, *known);
        }
        if known["event"].as_str().unwrap().starts_with("auth.") {
            assert_eq!(event(&mut filtered).await, *known);
        }
    }
}

#[tokio::test]
async fn bookmarks_are_sent_on_request() {
    let server = TestServer::open().await;
    let mut socket = open(&server, "acme", "bookmarks=true").await;
    let bookmark = event(&mut socket).await;
    let id = bookmark["id"].as_str().unwrap();
    assert!(id.starts_with("cur_"));
    assert_eq!(bookmark, json!({ "schema": "v1", "event": "stream.bookmark", "id": id }));
    server.world.acme_session().await;
    let next = event(&mut socket).await;
    let mut resumed = open(&server, "acme", &format!("after={id}")).await;
    assert_eq!(event(&mut resumed).await, next);
}

#[tokio::test]
async fn ticket_opens_one_socket_at_any_router() {
    let server = TestServer::open().await;
    let other = another_router(&server.world, &server.authenticator, &server.checks);
    let (address, _stop, _served) = listen(other.public(Limits::default())).await;
    for caller in ["acme", "nameless", &managing_key(&server, None).await] {
        let ticket = ticket(&server, caller).await;
        let query = format!("ticket={ticket}");
        let uses = (0..20).map(|n| connect([server.address, address][n % 2], &query));
        let outcomes = join_all(uses).await;
        let opened = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(opened, 1, "{caller}");
        assert!(outcomes.iter().all(|outcome| !matches!(outcome, Err(status) if *status != 401)));
    }
}

#[tokio::test]
async fn unacceptable_tickets_are_one_401() {
    let server = TestServer::open().await;
    let reference = server.ask("", "GET", "/api/v1/whoami").await;
    let key = managing_key(&server, None).await;
    let (good, spent) = (ticket(&server, "acme").await, ticket(&server, "acme").await);
    let (of_revoked, expired) = (ticket(&server, &key).await, ticket(&server, "acme").await);
    server.world.keys.revoke(&World::acme(), &key).await.unwrap();
    connect(server.address, &format!("ticket={spent}")).await.expect("its first use");
    let altered = format!("{}A{}", &good[..20], &good[21..]);
    let mut queries: Vec<String> = [
        &spent,
        &of_revoked,
        &altered,
        &good[4..],
        &good[..good.len() - 1],
        "tkt_",
        "acme",
        "wa_1",
        &"A".repeat(10_000),
        "%ff",
    ]
    .iter()
    .map(|text| format!("ticket={text}"))
    .collect();
    queries.extend([
        String::new(),
        "after=nonsense".to_owned(),
        format!("ticket={good}&ticket={good}"),
    ]);
    for query in &queries {
        let refused = plain(server.address, query).await;
        assert_eq!(refused.comparable(), reference.comparable(), "{query}");
    }
    // A header is no ticket.
    assert_eq!(
        server.ask("acme", "GET", "/api/v1/realtime").await.comparable(),
        reference.comparable()
    );
    server.world.environment.advance(Duration::from_secs(60));
    let refused = plain(server.address, &format!("ticket={expired}")).await;
    assert_eq!(refused.comparable(), reference.comparable(), "expired");
}

#[tokio::test]
async fn mistakes_of_the_request_spend_no_ticket() {
    let server = TestServer::open().await;
    let ticket = ticket(&server, "acme").await;
    let path = format!("/api/v1/realtime?ticket={ticket}");
    let no_upgrade = server.ask("", "GET", &path).await;
    assert_eq!(
        (no_upgrade.status.as_u16(), no_upgrade.faults()),
        (400, vec!["Upgrade".to_owned()])
    );
    let http2 = server.say(Version::Two, "", "GET", &path, None).await;
    assert_eq!((http2.status.as_u16(), http2.faults()), (400, vec!["Upgrade".to_owned()]));
    for (query, fields) in [
        ("after=x&event=none", vec!["event", "after"]),
        ("bookmarks=1", vec!["bookmarks"]),
        ("limit=1", vec!["limit"]),
    ] {
        let answer = plain(server.address, &format!("ticket={ticket}&{query}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.faults()),
            (400, fields.iter().map(ToString::to_string).collect())
        );
    }
    connect(server.address, &format!("ticket={ticket}")).await.expect("the ticket is good");
}

#[tokio::test]
async fn idempotency_key_does_not_repeat_a_ticket() {
    let server = TestServer::open().await;
    let mut tickets = std::collections::BTreeSet::new();
    for key in ["same", "same", &"x".repeat(300)] {
        let request = ask("POST", "/api/v1/realtime/ticket")
            .header("x-api-key", "acme")
            .header("idempotency-key", key);
        let answer = send(server.address, Version::One, request, "").await;
        assert_eq!(answer.status, 200);
        assert!(!answer.headers.contains_key("idempotency-replayed"));
        let now = domain::ports::Environment::now(&*server.world.environment).millis();
        assert_eq!(answer.json()["expiresAt"], now + 60_000);
        tickets.insert(answer.json()["ticket"].as_str().unwrap().to_owned());
    }
    assert_eq!(tickets.len(), 3);
    assert!(server.world.memory.idempotency_records().is_empty());
}

#[tokio::test]
async fn position_that_is_gone_closes_with_4410_and_the_oldest_event() {
    let server = TestServer::open().await;
    server.world.acme_session().await;
    let page = server.ask("acme", "GET", "/api/v1/audit").await.json();
    let oldest = page["data"][0]["id"].as_str().unwrap().to_owned();
    let mut socket = open(&server, "acme", "after=evt_01JGXS1DN0000000000000ZZZZ").await;
    assert_eq!(closed(&mut socket).await, (4410, oldest));
}

#[tokio::test]
async fn sockets_over_the_limit_close_with_4429() {
    let server = TestServer::with(Limits { streams_per_member: 1, ..Limits::default() }).await;
    let mut first = open(&server, "acme", "").await;
    let mut second = open(&server, "acme", "").await;
    assert_eq!(closed(&mut second).await.0, 4429);
    server.world.acme_session().await;
    event(&mut first).await;
}

#[tokio::test]
async fn socket_ends_with_its_credential() {
    let server = TestServer::open().await;
    let revoked = managing_key(&server, None).await;
    let expiring = managing_key(&server, Some(Duration::from_secs(90))).await;
    let mut neighbour = open(&server, "acme", "").await;
    let mut sockets = [open(&server, &revoked, "").await, open(&server, &expiring, "").await];
    let since = Instant::now();
    server.world.keys.revoke(&World::acme(), &revoked).await.unwrap();
    server.world.environment.advance(Duration::from_secs(90));
    for socket in &mut sockets {
        assert_eq!(closed(socket).await.0, 4401);
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    }
    assert_eq!(event(&mut neighbour).await["event"], "api_key.revoked");
}

#[tokio::test]
async fn stop_closes_sockets_with_1001() {
    let server = TestServer::open().await;
    let mut socket = open(&server, "acme", "").await;
    // This client does not answer the close.
    let _silent = open(&server, "acme", "").await;
    let since = Instant::now();
    let stopped = tokio::spawn(server.stopped());
    assert_eq!(closed(&mut socket).await.0, 1001);
    assert_eq!(stopped.await.unwrap(), Drained::Finished);
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
}

#[tokio::test]
async fn close_of_the_client_is_answered() {
    let server = TestServer::with(Limits { streams_per_member: 1, ..Limits::default() }).await;
    let mut socket = open(&server, "acme", "").await;
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = timeout(GENEROUS, socket.next()).await.expect("an end in time") {}
    let mut next = open(&server, "acme", "").await;
    server.world.acme_session().await;
    event(&mut next).await;
    next.send(Message::text("is ignored")).await.unwrap();
    server.world.acme_session().await;
    event(&mut next).await;
}
