//! Request permits: the permits of one organization never make requests of another fail, and probes
//! need no permit.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use http_hyper::Limits;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::{
    client::{BOTH, GENEROUS, ReceivedResponse, Version, ask, one_answer, send},
    listener::EndlessPause,
    test_server::{TestServer, listen},
};

const SESSIONS: &str = "/api/v1/sessions";
/// Number of permits, of which a single credential gets [`SHARE`].
const PLACES: usize = 8;
const SHARE: usize = 3;

fn limits() -> Limits {
    Limits { waiting: PLACES, requests: PLACES, ..Limits::default() }
}

fn assert_over_share(answer: &ReceivedResponse) {
    answer.assert_well_formed("over the share");
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (429, "rate_limited"));
    let wait: u32 = answer.header("retry-after").parse().unwrap();
    assert!(wait >= 1);
}

/// Sends one request on each of several connections; returns their responses as they come.
async fn asked(
    server: &TestServer,
    request: &str,
    count: usize,
) -> FuturesUnordered<impl Future<Output = (TcpStream, ReceivedResponse)>> {
    let asked = FuturesUnordered::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        asked.push(async move {
            let answer = one_answer(&mut stream).await;
            (stream, answer)
        });
    }
    asked
}

#[tokio::test]
async fn slow_bodies_take_no_permits_of_other_organizations() {
    let server = TestServer::with(limits()).await;
    let head = format!(
        "POST {SESSIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: acme\r\ncontent-type: application/json\r\n\
         content-length: 2\r\n\r\n"
    );
    let mut all = asked(&server, &head, PLACES).await;
    for _ in SHARE..PLACES {
        assert_over_share(&timeout(GENEROUS, all.next()).await.unwrap().unwrap().1);
    }
    // The other requests hold the share of the credential. Requests that do not wait succeed, and
    // so do other organizations.
    for version in BOTH {
        assert_eq!(server.say(version, "acme", "GET", SESSIONS, None).await.status, 200);
        let made =
            server.say(version, "zeta", "POST", SESSIONS, Some(&serde_json::json!({}))).await;
        assert_eq!(made.status, 201);
    }
    let mut other = TcpStream::connect(server.address).await.unwrap();
    other.write_all(head.replace("acme", "zeta").as_bytes()).await.unwrap();
    let mut waits = std::pin::pin!(one_answer(&mut other));
    assert!(timeout(Duration::from_millis(50), waits.as_mut()).await.is_err(), "it has a place");
}

#[tokio::test]
async fn arrived_body_releases_its_permit() {
    let server =
        TestServer::with(Limits { body_time: Duration::from_millis(200), ..limits() }).await;
    let head = format!(
        "POST {SESSIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: acme\r\ncontent-length: 2\r\n\r\n"
    );
    let answers: Vec<_> = asked(&server, &head, PLACES).await.collect().await;
    let statuses = |status: u16| answers.iter().filter(|(_, a)| a.status == status).count();
    assert_eq!((statuses(429), statuses(408)), (PLACES - SHARE, SHARE));
    let again: Vec<_> = asked(&server, &head, SHARE).await.collect().await;
    assert!(again.iter().all(|(_, answer)| answer.status == 408));
}

#[tokio::test]
async fn long_polls_take_no_permits_of_other_organizations() {
    let silence = Arc::new(EndlessPause::default());
    let server = TestServer::build(limits(), |_| silence.clone()).await;
    let id = server.world.acme_session().await.id;
    let poll =
        format!("GET {SESSIONS}/{id}/qr?wait=30 HTTP/1.1\r\nhost: x\r\nx-api-key: acme\r\n\r\n");
    let mut all = asked(&server, &poll, PLACES).await;
    for _ in SHARE..PLACES {
        assert_over_share(&timeout(GENEROUS, all.next()).await.unwrap().unwrap().1);
    }
    let path = format!("{SESSIONS}/{id}");
    assert_eq!(server.ask("acme", "GET", &path).await.status, 200, "no waiting");
    let logout = server.ask("acme", "POST", &format!("{path}:logout")).await;
    assert_over_share(&logout);
    let theirs =
        server.ask("zeta", "POST", SESSIONS).await.json()["id"].as_str().unwrap().to_owned();
    let code = server.ask("zeta", "GET", &format!("{SESSIONS}/{theirs}/qr?wait=0")).await;
    assert_eq!(code.status, 404, "there is no code yet, and it was looked for");
    // Another credential of the same organization gets a permit.
    let other = server.ask("manager", "GET", &format!("{path}/qr?wait=0")).await;
    assert_eq!(other.status, 404);
}

#[tokio::test]
async fn authenticating_callers_share_permits_by_address() {
    let server = TestServer::with(limits()).await;
    let slow = format!("GET {SESSIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: slow\r\n\r\n");
    let mut all = asked(&server, &slow, PLACES).await;
    for _ in PLACES / 2..PLACES {
        let (_, answer) = timeout(GENEROUS, all.next()).await.unwrap().unwrap();
        answer.assert_well_formed("over the share");
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "unavailable"));
        assert!(!answer.header("retry-after").is_empty());
    }
    // A caller that is authenticated at the first poll needs no permit.
    assert_eq!(server.ask("acme", "GET", SESSIONS).await.status, 200);
    for _ in 0..PLACES / 2 {
        server.authenticator.go_on.notify_one();
        let (_, answer) = timeout(GENEROUS, all.next()).await.unwrap().unwrap();
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn probes_and_document_need_no_permit() {
    let server = TestServer::with(Limits { requests: 0, waiting: 0, ..Limits::default() }).await;
    let none = Limits { requests: 0, waiting: 0, ..Limits::default() };
    let (operators, _stop, _served) = listen(server.api.operators(none)).await;
    for version in BOTH {
        let refused = server.say(version, "acme", "GET", SESSIONS, None).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "unavailable"));
        for path in ["/livez", "/readyz", "/docs", "/openapi.json"] {
            assert_eq!(server.say(version, "", "GET", path, None).await.status, 200, "{path}");
        }
        for path in ["/livez", "/readyz", "/metrics"] {
            let answer = send(operators, version, ask("GET", path), "").await;
            assert_eq!(answer.status, 200, "{path}");
        }
    }
    assert_eq!(server.say(Version::One, "", "OPTIONS", SESSIONS, None).await.status, 204);
}
