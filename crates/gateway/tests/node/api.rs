//! The API of the node: authentication, the order of epochs, and invalid calls.

use std::time::Duration;

use gateway_protocol::{Declaration, LogoutOutcome, PairingSpec, RefusalCode, Status};
use hyper::{Method, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use whatsapp_sim::{Config, Simulator};

use crate::{
    fake_router::FakeRouter,
    fixture::{Api, NodeFixture, pairing, running, settings, stopped},
    wait::{PATIENCE, TOKEN},
};

#[tokio::test(flavor = "multi_thread")]
async fn calls_without_the_token_are_unauthorized() {
    let fixture = NodeFixture::new().await;
    for token in ["", "a-token-for-this-tesT", "a-token-for-this-test-and-more", "a-token"] {
        for (method, path) in [(Method::GET, "/health"), (Method::DELETE, "/sessions/s1?epoch=1")] {
            let (status, body) = fixture.api.raw(method, path, token, vec![]).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            assert!(String::from_utf8_lossy(&body).contains("unauthorized"));
        }
    }
    assert_eq!(fixture.router.state().unauthorized_calls, 0, "the node sends its own token");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_calls_are_rejected() {
    let fixture = NodeFixture::new().await;
    let long = "a".repeat(65);
    let declaration = serde_json::to_vec(&running(1)).unwrap();
    let refused = [
        (Method::GET, "/nothing", 404, ""),
        (Method::POST, "/sessions/s1", 405, ""),
        (Method::GET, "/sessions/s1:logout", 405, ""),
        (Method::GET, "/sessions/s1%3Alogout", 400, ""),
        (Method::GET, &format!("/sessions/{long}"), 400, ""),
        (Method::GET, "/sessions/..%2Fetc", 400, ""),
        (Method::DELETE, "/sessions/s1", 400, ""),
        (Method::DELETE, "/sessions/s1?epoch=x", 400, ""),
        (Method::PUT, "/sessions/s1", 400, "{"),
        (Method::PUT, "/sessions/s1", 400, r#"{"epoch":-1}"#),
        (Method::POST, "/sessions/s1:logout", 400, "[]"),
        (Method::GET, "/sessions/s1", 404, ""),
        (Method::GET, "/sessions/s1/identity", 404, ""),
    ];
    for (method, path, status, body) in refused {
        let (got, answer) = fixture.api.raw(method.clone(), path, TOKEN, body.into()).await;
        assert_eq!(got.as_u16(), status, "{method} {path} {answer:?}");
        serde_json::from_slice::<gateway_protocol::Refusal>(&answer).unwrap();
    }
    let (status, _) = fixture.api.raw(Method::PUT, "/sessions/s1", TOKEN, vec![b' '; 70_000]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = fixture.api.raw(Method::PUT, "/sessions/s-1", TOKEN, declaration).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let phone = PairingSpec { attempt: 1, phone: Some("+1555".into()), request: 1 };
    let invalid = Declaration { pairing: Some(phone), ..running(1) };
    let refusal = fixture.api.declare("s1", &invalid).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Malformed);
    assert!(fixture.api.list().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_requests_are_refused_in_the_format_of_the_protocol() {
    let fixture = NodeFixture::new().await;
    let long = "x".repeat(100_000);
    for (request, status) in [
        ("GET /node/v1/health HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(), "400"),
        (format!("GET / HTTP/1.1\r\nhost: node\r\nx: {long}\r\n\r\n"), "431"),
    ] {
        let node = fixture.node.as_ref().unwrap().address();
        let mut stream = TcpStream::connect(node).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let refusal: gateway_protocol::Refusal = serde_json::from_str(body).unwrap();
        assert_eq!(refusal.code, RefusalCode::Malformed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn older_epoch_is_rejected_and_equal_epoch_changes_nothing() {
    let fixture = NodeFixture::new().await;
    let api = &fixture.api;
    let observed = api.declare("s1", &stopped(5)).await.unwrap();
    for declaration in [running(4), stopped(4), pairing(1, 9, None)] {
        let refusal = api.declare("s1", &declaration).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::StaleEpoch);
    }
    let stale = |refusal: gateway_protocol::Refusal| refusal.code == RefusalCode::StaleEpoch;
    assert!(api.logout("s1", 4, PATIENCE).await.is_err_and(stale));
    assert!(api.forget("s1", 4).await.is_err_and(stale));
    assert_eq!(api.declare("s1", &stopped(5)).await.unwrap(), observed);
    assert_eq!(api.view("s1").await.unwrap(), observed);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_declaration_does_not_restore_a_forgotten_session() {
    let fixture = NodeFixture::new().await;
    let api = &fixture.api;
    api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    api.qr("s1").await;
    api.forget("s1", 7).await.unwrap();
    for epoch in 1..=7 {
        let refusal = api.declare("s1", &pairing(epoch, epoch, None)).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::StaleEpoch);
    }
    api.forget("never_seen", 3).await.unwrap();
    assert!(api.declare("never_seen", &pairing(3, 3, None)).await.is_err());
    assert!(api.view("s1").await.is_err());
    assert_eq!(fixture.sessions_with_keys(), Vec::<String>::new());
    let back = api.declare("s1", &pairing(8, 8, None)).await.unwrap();
    assert_eq!(back.status, Status::Starting, "a newer epoch restores the session");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_node_rejects_new_sessions_and_keeps_existing_ones() {
    let fixture = NodeFixture::with(Config::default(), 2, |wire| wire).await;
    let api = &fixture.api;
    for session in ["s1", "s2"] {
        api.declare(session, &stopped(1)).await.unwrap();
    }
    let refusal = api.declare("s3", &running(1)).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::AtCapacity);
    api.declare("s2", &stopped(2)).await.unwrap();
    api.forget("s1", 2).await.unwrap();
    api.declare("s3", &running(1)).await.unwrap();
    let health = api.health().await;
    assert_eq!((health.capacity, health.sessions, health.working), (2, 2, 0));
    assert!(health.resident_bytes > 1 << 20 && health.version.contains("+sim"));
    assert_eq!(health.features, ["identity", "messages.v1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn full_node_with_unreadable_keys_rejects_no_session_that_it_may_have_linked() {
    let (whatsapp, router) =
        (Simulator::start(Config::default()).await.unwrap(), FakeRouter::start().await);
    let data = tempfile::TempDir::new().unwrap();
    std::fs::write(data.path().join("keys.db"), b"no database").unwrap();
    let settings = settings(data.path(), &router.url, &whatsapp.url(), 1);
    let node = gateway::Node::start(settings).await.unwrap();
    let api = Api::new(node.address());
    router.until("registered", |state| state.generation > 0 && !state.heartbeats.is_empty()).await;
    assert_eq!(router.state().registrations[0].capacity, 0, "no new sessions are assigned");
    for session in ["s1", "s2"] {
        api.declare(session, &running(1)).await.unwrap();
    }
    assert_eq!(api.health().await.sessions, 2);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_before_registration_are_refused() {
    let (whatsapp, router) =
        (Simulator::start(Config::default()).await.unwrap(), FakeRouter::start().await);
    router.state().away = true;
    let data = tempfile::TempDir::new().unwrap();
    let settings = settings(data.path(), &router.url, &whatsapp.url(), 10);
    let node = gateway::Node::start(settings).await.unwrap();
    let api = Api::new(node.address());
    for refusal in [
        api.declare("s1", &running(1)).await.unwrap_err(),
        api.logout("s1", 1, PATIENCE).await.unwrap_err(),
        api.forget("s1", 1).await.unwrap_err(),
    ] {
        assert_eq!(refusal.code, RefusalCode::Unavailable);
    }
    router.state().away = false;
    router.until("registered", |state| state.generation > 0 && !state.heartbeats.is_empty()).await;
    assert_eq!(api.declare("s1", &stopped(1)).await.unwrap().generation, 1);
    let registered = router.state().registrations[0].clone();
    assert_eq!(registered.address, format!("http://{}", node.address()));
    assert_eq!(registered.capacity, 10);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_of_an_unlinked_session_answers_not_linked() {
    let fixture = NodeFixture::new().await;
    let unknown = fixture.api.logout("s1", 1, Duration::from_secs(5)).await.unwrap();
    assert_eq!(unknown.outcome, LogoutOutcome::NotLinked);
    assert!(fixture.api.view("s1").await.is_err(), "the session is not added");
    fixture.api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    fixture.api.qr("s1").await;
    let unlinked = fixture.api.logout("s1", 1, Duration::from_secs(5)).await.unwrap();
    assert_eq!(unlinked.outcome, LogoutOutcome::NotLinked);
}
