//! Health probes and metrics on both listeners.

use std::sync::atomic::Ordering;

use http_hyper::{Limits, wire};
use serde_json::json;

use crate::{
    client::{BOTH, ask, send},
    test_server::{TestServer, listen},
};

#[tokio::test]
async fn probe_ignores_credentials() {
    let server = TestServer::open().await;
    let (operators, stop, running) = listen(server.api.operators(Limits::default())).await;
    for address in [server.address, operators] {
        for version in BOTH {
            for path in ["/livez", "/readyz", "/readyz?verbose"] {
                let plain = send(address, version, ask("GET", path), "").await;
                plain.assert_well_formed(path);
                assert_eq!(plain.status, 200, "{path}");
                let odd = ask("GET", path).header("authorization", "garbage");
                assert_eq!(send(address, version, odd, "").await.comparable(), plain.comparable());
            }
        }
    }
    assert_eq!(server.authenticator.asked.load(Ordering::SeqCst), 0);
    stop.cancel();
    assert_eq!(running.await.unwrap(), http_hyper::Drained::Finished);
}

#[tokio::test]
async fn failed_readiness_check_is_named_and_requests_continue() {
    let server = TestServer::open().await;
    let ready = server.ask("", "GET", "/readyz").await.json();
    assert_eq!(ready, serde_json::to_value(wire::ReadinessView::sample()).unwrap());
    server.checks.down.store(true, Ordering::SeqCst);
    let answer = server.ask("", "GET", "/readyz").await;
    assert_eq!(answer.status, 503);
    let checks = json!({ "database": false, "key_set": true });
    assert_eq!(answer.json(), json!({ "ready": false, "checks": checks }));
    assert_eq!(server.ask("", "GET", "/livez").await.status, 200);
}

#[tokio::test]
async fn missing_key_set_is_reported_and_the_service_stays_ready() {
    let server = TestServer::open().await;
    server.checks.keyless.store(true, Ordering::SeqCst);
    let answer = server.ask("", "GET", "/readyz").await;
    assert_eq!(answer.status, 200);
    let checks = json!({ "database": true, "key_set": false });
    assert_eq!(answer.json(), json!({ "ready": true, "checks": checks }));
}

#[tokio::test]
async fn metrics_are_on_the_operators_listener_only() {
    let server = TestServer::open().await;
    let (operators, _stop, _served) = listen(server.api.operators(Limits::default())).await;
    let shown = send(operators, BOTH[0], ask("GET", "/metrics"), "").await;
    assert_eq!(
        (shown.status.as_u16(), &shown.body[..]),
        (200, &b"berth_build_info{version=\"test\"} 1\n"[..])
    );
    assert_eq!(shown.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(server.ask("acme", "GET", "/metrics").await.code(), "not_found");
    assert_eq!(server.ask("operator", "GET", "/metrics").await.code(), "not_found");
}

#[tokio::test]
async fn operators_listener_has_no_caller_operations() {
    let server = TestServer::open().await;
    let (operators, _stop, _served) = listen(server.api.operators(Limits::default())).await;
    let request = ask("GET", "/api/v1/sessions").header("x-api-key", "acme");
    assert_eq!(send(operators, BOTH[0], request, "").await.code(), "not_found");
}
