//! The node protocol on the nodes' listener.

use std::net::SocketAddr;

use domain::{GatewayId, testing::World};
use gateway_protocol::{
    Deliveries, Heartbeat, HeartbeatAnswer, HeldSession, Identity, Refusal, RefusalCode, Register,
    Registered, Reports, Snapshot, Status,
};
use http_hyper::{NodeApi, NodeTokens};
use serde::Serialize;

use crate::{
    client::{BOTH, ReceivedResponse, Version, ask, send},
    test_server::{TestServer, listen},
};

async fn open(world: &World) -> SocketAddr {
    let tokens = [("gw-test", "one"), ("gw-2", "two")]
        .map(|(id, token)| (GatewayId::parse(id).unwrap(), token.to_owned()));
    let environment = world.environment.clone();
    let (nodes, journals) = (world.nodes.clone(), world.journals.clone());
    let api = NodeApi::new(nodes, journals, NodeTokens::new(tokens), environment);
    listen(api.service(NodeApi::limits())).await.0
}

async fn call(to: SocketAddr, token: &str, call: &str, body: &impl Serialize) -> ReceivedResponse {
    let request = ask("POST", &format!("/node/v1/gateways/{call}"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    send(to, Version::One, request, serde_json::to_vec(body).unwrap()).await
}

fn register_node(address: &str) -> Register {
    Register {
        incarnation: "first".to_owned(),
        address: address.to_owned(),
        version: "test 1".to_owned(),
        features: vec!["identity".to_owned()],
        capacity: 10,
    }
}

fn refusal(answer: &ReceivedResponse) -> (u16, RefusalCode) {
    let refusal: Refusal = serde_json::from_slice(&answer.body).expect("a refusal");
    (answer.status.as_u16(), refusal.code)
}

#[tokio::test]
async fn node_registers_sends_heartbeats_and_reports() {
    let server = TestServer::open().await;
    let to = open(&server.world).await;
    let answer = call(to, "one", "gw-test:enlist", &register_node("http://127.0.0.1:8082")).await;
    let registered: Registered = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (answer.status.as_u16(), registered.generation, registered.heartbeat_ms),
        (200, 2, 5000)
    );

    let session = server.pairing().await;
    let orphan = "sess_01JGXS1DN00000000000000001".to_owned();
    let held = [session.id.as_str().to_owned(), orphan.clone(), "nonsense".to_owned()];
    let held = held.map(|session| HeldSession { session, epoch: 1 }).to_vec();
    let heartbeat =
        Heartbeat { incarnation: "first".to_owned(), held, answered_ago_ms: None, journal: None };
    let answer: HeartbeatAnswer =
        serde_json::from_slice(&call(to, "one", "gw-test:beat", &heartbeat).await.body).unwrap();
    assert_eq!((answer.lease_ms, answer.lost), (30_000, vec![orphan]));

    let snapshot = |id: &str| Snapshot {
        session: id.to_owned(),
        epoch: session.spec.epoch,
        generation: 2,
        seq: 1,
        at: 0,
        status: Status::Working,
        reason: None,
        identity: Some(Identity {
            phone: "15550000009".to_owned(),
            jid: "15550000009:1@s.whatsapp.net".to_owned(),
            lid: None,
            device: 1,
            push_name: None,
        }),
        pairing: None,
    };
    let reports = vec![snapshot("nonsense"), snapshot(session.id.as_str())];
    let reports = Reports { incarnation: "first".to_owned(), reports };
    let answer = call(to, "one", "gw-test:report", &reports).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    let path = format!("/api/v1/sessions/{}", session.id);
    let shown = server.ask("acme", "GET", &path).await.json();
    assert_eq!(
        (&shown["status"], &shown["phoneNumber"]),
        (&"working".into(), &"15550000009".into())
    );
}

#[tokio::test]
async fn node_token_is_valid_for_its_own_name_only() {
    let server = TestServer::open().await;
    let to = open(&server.world).await;
    let before = server.fingerprint();
    let body = register_node("http://127.0.0.1:1");
    let mut answers = Vec::new();
    for (token, name) in
        [("two", "gw-test"), ("one", "gw-2"), ("", "gw-2"), ("one", "gw-9"), ("x", "%ff")]
    {
        for verb in ["enlist", "beat", "report", "deliver"] {
            let answer = call(to, token, &format!("{name}:{verb}"), &body).await;
            assert_eq!(refusal(&answer), (401, RefusalCode::Unauthorized), "{name} {verb}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            answers.push(answer.comparable());
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(server.fingerprint(), before);
}

#[tokio::test]
async fn unknown_incarnation_must_register_first() {
    let server = TestServer::open().await;
    let to = open(&server.world).await;
    let heartbeat = Heartbeat {
        incarnation: "other".to_owned(),
        held: vec![],
        answered_ago_ms: None,
        journal: None,
    };
    let reports = Reports { incarnation: "other".to_owned(), reports: vec![] };
    let (incarnation, journal) = ("other".to_owned(), "journal".to_owned());
    let deliveries = Deliveries { incarnation, journal, deliveries: vec![] };
    for name in ["gw-test", "gw-2"] {
        let token = if name == "gw-2" { "two" } else { "one" };
        let answer = call(to, token, &format!("{name}:beat"), &heartbeat).await;
        assert_eq!(refusal(&answer), (409, RefusalCode::NotRegistered));
        let answer = call(to, token, &format!("{name}:report"), &reports).await;
        assert_eq!(refusal(&answer), (409, RefusalCode::NotRegistered));
        let answer = call(to, token, &format!("{name}:deliver"), &deliveries).await;
        assert_eq!(refusal(&answer), (409, RefusalCode::NotRegistered));
    }
}

#[tokio::test]
async fn invalid_message_of_a_node_is_refused_by_the_protocol() {
    let server = TestServer::open().await;
    let to = open(&server.world).await;
    for address in ["", "gw:1", "http://h/path", "http://u:p@h:1", "file:///x", "http://h:1?x"] {
        let answer = call(to, "one", "gw-test:enlist", &register_node(address)).await;
        assert_eq!(refusal(&answer), (400, RefusalCode::Malformed), "{address}");
    }
    let answer = call(to, "one", "gw-test:beat", &"nonsense").await;
    assert_eq!(refusal(&answer), (400, RefusalCode::Malformed));
    let huge = call(to, "one", "gw-test:report", &"x".repeat(17 * 1024 * 1024)).await;
    assert_eq!(refusal(&huge), (413, RefusalCode::Malformed));
    for (method, path, status) in [
        ("POST", "/node/v1/gateways/gw-test:dance", 404),
        ("POST", "/api/v1/sessions", 404),
        ("GET", "/node/v1/gateways/gw-test:beat", 405),
    ] {
        for version in BOTH {
            let answer = send(to, version, ask(method, path), "").await;
            assert_eq!(refusal(&answer), (status, RefusalCode::UnknownCall), "{path}");
        }
    }
    server.world.memory.set_down(true);
    let answer = call(to, "one", "gw-test:enlist", &register_node("http://127.0.0.1:1")).await;
    assert_eq!(refusal(&answer), (503, RefusalCode::Unavailable));
    assert_eq!(answer.header("retry-after"), "2");
}

#[tokio::test]
async fn report_of_thousands_of_sessions_is_accepted() {
    let server = TestServer::open().await;
    let to = open(&server.world).await;
    call(to, "one", "gw-test:enlist", &register_node("http://127.0.0.1:8082")).await;
    let held =
        (0..50_000).map(|n| HeldSession { session: format!("sess_{n:026}"), epoch: 1 }).collect();
    let heartbeat =
        Heartbeat { incarnation: "first".to_owned(), held, answered_ago_ms: None, journal: None };
    let answer = call(to, "one", "gw-test:beat", &heartbeat).await;
    assert_eq!(answer.status, 200);
    let answer: HeartbeatAnswer = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.lost.len(), 50_000);
}
