//! The listener: timeouts, limits, panics, request ids, and stop.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::testing::TestPause;
use http_hyper::{Drained, Limits};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Notify, time::timeout};

use crate::{
    client::{BOTH, GENEROUS, Version, ask, parse, raw, read_to_end, send},
    test_server::{TestServer, listen},
};

const SESSIONS: &str = "/api/v1/sessions";
const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn panic_is_a_500_error_in_the_envelope() {
    let server = TestServer::open().await;
    for version in BOTH {
        let answer = server.say(version, "panic", "GET", SESSIONS, None).await;
        answer.assert_well_formed("panic");
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (500, "internal"));
        assert!(!String::from_utf8_lossy(&answer.body).contains("doorman"));
        assert_eq!(server.say(version, "acme", "GET", SESSIONS, None).await.status, 200);
    }
}

#[tokio::test]
async fn request_beyond_the_time_limit_is_unavailable() {
    let server = TestServer::with(Limits { request_time: SHORT, ..Limits::default() }).await;
    for (version, method) in BOTH.into_iter().flat_map(|v| [(v, "GET"), (v, "POST")]) {
        let answer = server.say(version, "slow", method, SESSIONS, None).await;
        answer.assert_well_formed("slow");
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "unavailable"));
        assert!(!answer.header("retry-after").is_empty());
        // A safe request was abandoned; an unsafe request continues.
        if method == "POST" {
            let before = server.world.memory.events().len();
            server.authenticator.go_on.notify_one();
            let made = async {
                while server.world.memory.events().len() == before {
                    tokio::task::yield_now().await;
                }
            };
            timeout(GENEROUS, made).await.expect("the session is made all the same");
        }
    }
}

#[tokio::test]
async fn unsafe_request_completes_after_the_caller_hangs_up() {
    let server = TestServer::with(Limits { connections: 1, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("POST {SESSIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: slow\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    server.authenticator.arrived.notified().await;
    drop(stream);
    // The response comes only after the first connection has closed.
    assert_eq!(server.ask("", "GET", "/livez").await.status, 200);
    assert!(server.world.memory.events().is_empty());
    server.authenticator.go_on.notify_one();
    let made = async {
        while server.world.memory.events().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(GENEROUS, made).await.expect("the session is made");
}

#[tokio::test]
async fn silent_connection_times_out() {
    let server = TestServer::with(Limits { first_request: SHORT, ..Limits::default() }).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice();
    let half_a_head = b"GET /livez HTTP/1.1\r\nhost".as_slice();
    let peers = [b"".as_slice(), b"P", b"PRI * HTTP/2", half_a_head, preface].map(|said| {
        let to = server.address;
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(to).await.unwrap();
            stream.write_all(said).await.unwrap();
            read_to_end(&mut stream).await
        })
    });
    for peer in peers {
        let heard = peer.await.expect("the connection is closed");
        assert!(!heard.starts_with(b"HTTP/1.1"), "{heard:?}");
    }
}

#[tokio::test]
async fn idle_connection_is_closed() {
    let server = TestServer::with(Limits { idle: SHORT, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(parse(&read_to_end(&mut stream).await).status, 200);
}

#[tokio::test]
async fn host_is_required_once_in_http_1_1() {
    let server = TestServer::open().await;
    let operators = listen(server.api.operators(Limits::default())).await;
    let key = "x-api-key: acme\r\n";
    for (version, hosts, status) in [
        ("1.1", "host: x\r\n", 200),
        ("1.1", "host: [2001:db8::1]:8080\r\n", 200),
        ("1.1", "host:\r\n", 200),
        ("1.0", "", 200),
        ("1.1", "", 400),
        ("1.1", "host: x\r\nhost: x\r\n", 400),
        ("1.1", "host: x\r\nhost: y\r\n", 400),
        ("1.0", "host: x\r\nhost: x\r\n", 400),
        ("1.1", "host: x, y\r\n", 400),
        ("1.1", "host: user@x\r\n", 400),
        ("1.1", "host: x/y\r\n", 400),
    ] {
        for (address, path) in
            [(server.address, SESSIONS), (server.address, "/livez"), (operators.0, "/livez")]
        {
            let about = format!("{path} in HTTP/{version} with {hosts:?}");
            let head =
                format!("GET {path} HTTP/{version}\r\n{hosts}{key}connection: close\r\n\r\n");
            let answer = parse(&raw(address, head.as_bytes()).await);
            assert_eq!(answer.status, status, "{about}");
            if status == 400 {
                answer.assert_well_formed(&about);
                assert_eq!(
                    (answer.code().as_str(), &answer.faults()[..]),
                    ("validation_error", &["Host".to_owned()][..])
                );
            }
        }
    }
}

#[tokio::test]
async fn valid_request_id_of_the_caller_is_used() {
    let server = TestServer::open().await;
    let longest = "x".repeat(128);
    for version in BOTH {
        for good in ["a", "~!@#", &longest] {
            let request = ask("GET", "/nowhere").header("x-request-id", good);
            let answer = send(server.address, version, request, "").await;
            assert_eq!(answer.header("x-request-id"), good);
            assert!(!String::from_utf8_lossy(&answer.body).contains(good) || good == "a");
        }
        let too_long = "x".repeat(129);
        for bad in ["", "a b", "caf\u{e9}", &too_long] {
            let value = hyper::header::HeaderValue::from_bytes(bad.as_bytes()).unwrap();
            let request = ask("GET", "/livez").header("x-request-id", value);
            let answer = send(server.address, version, request, "").await;
            assert!(answer.header("x-request-id").starts_with("req_"), "{bad}");
        }
        let twice = ask("GET", "/livez").header("x-request-id", "a").header("x-request-id", "b");
        let answer = send(server.address, version, twice, "").await;
        assert!(answer.header("x-request-id").starts_with("req_"));
    }
    let ids = [0; 2].map(|_| server.ask("", "GET", "/livez"));
    let [first, second] = ids;
    assert_ne!(first.await.header("x-request-id"), second.await.header("x-request-id"));
}

#[tokio::test]
async fn stop_finishes_requests_and_accepts_no_connection() {
    for version in BOTH {
        let server = TestServer::open().await;
        let slow = ask("GET", SESSIONS).header("x-api-key", "slow");
        let slow = tokio::spawn(send(server.address, version, slow, ""));
        // An idle connection must not delay the stop.
        let idle = TcpStream::connect(server.address).await.unwrap();
        server.authenticator.arrived.notified().await;
        server.stop.cancel();
        let refused = async {
            while TcpStream::connect(server.address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        timeout(GENEROUS, refused).await.expect("nobody is let in");
        assert!(!slow.is_finished());
        server.authenticator.go_on.notify_one();
        assert_eq!(slow.await.unwrap().status, 200);
        assert_eq!(server.stopped().await, Drained::Finished);
        drop(idle);
    }
}

#[tokio::test]
async fn stop_cuts_requests_off_after_the_drain_time() {
    let server = TestServer::with(Limits { drain: SHORT, ..Limits::default() }).await;
    let slow = ask("GET", SESSIONS).header("x-api-key", "slow");
    let slow = tokio::spawn(crate::client::try_send(server.address, Version::One, slow, ""));
    server.authenticator.arrived.notified().await;
    assert_eq!(server.stopped().await, Drained::CutOff);
    assert!(slow.await.unwrap().is_err());
}

/// A pause that never ends.
#[derive(Default)]
pub(crate) struct EndlessPause {
    pub(crate) waiting: Notify,
}

#[async_trait]
impl TestPause for EndlessPause {
    async fn pause(&self, _: Duration) {
        self.waiting.notify_one();
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn stop_ends_long_polls() {
    let silence = Arc::new(EndlessPause::default());
    let server = TestServer::build(Limits::default(), |_| silence.clone()).await;
    let id = server.world.acme_session().await.id;
    let request = ask("GET", &format!("{SESSIONS}/{id}/qr?wait=30")).header("x-api-key", "acme");
    let waiting = tokio::spawn(send(server.address, Version::One, request, ""));
    silence.waiting.notified().await;
    server.stop.cancel();
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "unavailable"));
    assert_eq!(server.stopped().await, Drained::Finished);
}
