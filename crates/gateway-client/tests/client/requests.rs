//! The requests of successful calls.

use std::time::Duration;

use domain::{Declaration, LogoutOutcome, PairingSpec, Status, ports::SessionControl};
use hyper::StatusCode;
use serde_json::json;

use crate::scripted_node::{
    ReceivedRequest, Script, ScriptedNode, TIMEOUT, TOKEN, client, declaration, session, snapshot,
};

fn ok(body: &serde_json::Value) -> Script {
    Script::Respond(StatusCode::OK, body.to_string())
}

#[tokio::test]
async fn declaration_sends_the_spec_and_returns_the_observed_state() {
    let node = ScriptedNode::start(ok(&snapshot(&session()))).await;
    let pairing = PairingSpec { attempt: 7, phone: Some("15550001".into()), request: 8 };
    let spec = Declaration { pairing: Some(pairing), ..declaration() };
    let observed = client(TIMEOUT).declare(&node.registered(), &session(), &spec).await.unwrap();
    assert_eq!(
        (observed.epoch, observed.generation, observed.seq, observed.status),
        (7, 3, 9, Status::Working)
    );
    assert_eq!(observed.identity.unwrap().push_name.as_deref(), Some("Ann"));
    let expected = ReceivedRequest {
        request_line: format!("PUT /node/v1/sessions/{}", session()),
        authorization: Some(format!("Bearer {TOKEN}")),
        content_type: Some("application/json".into()),
        body: Some(json!({
            "epoch": 7, "running": true, "linked": false,
            "group": null,
            "restarts": 2,
            "pairing": { "attempt": 7, "phone": "15550001", "request": 8 },
        })),
    };
    assert_eq!(node.received(), [expected]);
}

#[tokio::test]
async fn logout_sends_its_deadline_and_returns_the_outcome() {
    for (word, outcome) in [
        ("confirmed", LogoutOutcome::Confirmed),
        ("unconfirmed", LogoutOutcome::Unconfirmed),
        ("not_linked", LogoutOutcome::NotLinked),
    ] {
        let answer = json!({ "outcome": word, "snapshot": snapshot(&session()) });
        let node = ScriptedNode::start(ok(&answer)).await;
        let deadline = Duration::from_millis(1500);
        let ended =
            client(TIMEOUT).logout(&node.registered(), &session(), 11, true, deadline).await;
        assert_eq!(ended.unwrap().0, outcome);
        let received = node.received().remove(0);
        assert_eq!(received.request_line, format!("POST /node/v1/sessions/{}:logout", session()));
        assert_eq!(received.body, Some(json!({ "epoch": 11, "linked": true, "deadlineMs": 1500 })));
    }
}

#[tokio::test]
async fn forget_sends_its_epoch() {
    let node = ScriptedNode::start(Script::Respond(StatusCode::NO_CONTENT, String::new())).await;
    client(TIMEOUT).forget(&node.registered(), &session(), 12, false).await.unwrap();
    let received = node.received().remove(0);
    assert_eq!(
        received.request_line,
        format!("DELETE /node/v1/sessions/{}?epoch=12&linked=false", session())
    );
    assert_eq!((received.body, received.content_type), (None, None));
    assert_eq!(received.authorization.unwrap(), format!("Bearer {TOKEN}"));
}

#[tokio::test]
async fn identity_is_requested_from_the_node() {
    let identity = snapshot(&session())["identity"].clone();
    let node = ScriptedNode::start(ok(&json!({ "connected": true, "identity": identity }))).await;
    let live = client(TIMEOUT).identity(&node.registered(), &session()).await.unwrap();
    assert!(live.connected);
    assert_eq!(live.identity.unwrap().phone, "15550001");
    assert_eq!(
        node.received()[0].request_line,
        format!("GET /node/v1/sessions/{}/identity", session())
    );
}

#[tokio::test]
async fn calls_reuse_a_connection() {
    let node = ScriptedNode::start(ok(&snapshot(&session()))).await;
    let client = client(TIMEOUT);
    for _ in 0..5 {
        client.declare(&node.registered(), &session(), &declaration()).await.unwrap();
    }
    assert_eq!((node.received().len(), node.connections()), (5, 1));
}
