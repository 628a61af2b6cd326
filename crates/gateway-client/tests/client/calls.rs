//! What goes over the wire when all is well.

use std::time::Duration;

use domain::{Declaration, LogoutOutcome, PairingSpec, Status, ports::SessionControl};
use hyper::StatusCode;
use serde_json::json;

use crate::node::{
    Heard, PATIENCE, Script, ScriptedNode, TOKEN, client, declaration, session, snapshot,
};

fn ok(body: &serde_json::Value) -> Script {
    Script::Says(StatusCode::OK, body.to_string())
}

#[tokio::test]
async fn a_declaration_says_what_is_wanted_and_brings_back_what_is_seen() {
    let node = ScriptedNode::start(ok(&snapshot(&session()))).await;
    let pairing = PairingSpec { attempt: 7, phone: Some("15550001".into()), request: 8 };
    let spec = Declaration { pairing: Some(pairing), ..declaration() };
    let observed = client(PATIENCE).declare(&node.enlisted(), &session(), &spec).await.unwrap();
    assert_eq!(
        (observed.epoch, observed.generation, observed.seq, observed.status),
        (7, 3, 9, Status::Working)
    );
    assert_eq!(observed.identity.unwrap().push_name.as_deref(), Some("Ann"));
    let expected = Heard {
        line: format!("PUT /node/v1/sessions/{}", session()),
        authorization: Some(format!("Bearer {TOKEN}")),
        content_type: Some("application/json".into()),
        body: Some(json!({
            "epoch": 7, "running": true, "linked": false,
            "group": null,
            "restarts": 2,
            "pairing": { "attempt": 7, "phone": "15550001", "request": 8 },
        })),
    };
    assert_eq!(node.heard(), [expected]);
}

#[tokio::test]
async fn a_logout_hands_its_deadline_on_and_tells_how_it_ended() {
    for (word, outcome) in [
        ("confirmed", LogoutOutcome::Confirmed),
        ("unconfirmed", LogoutOutcome::Unconfirmed),
        ("not_linked", LogoutOutcome::NotLinked),
    ] {
        let answer = json!({ "outcome": word, "snapshot": snapshot(&session()) });
        let node = ScriptedNode::start(ok(&answer)).await;
        let deadline = Duration::from_millis(1500);
        let ended = client(PATIENCE).logout(&node.enlisted(), &session(), 11, true, deadline).await;
        assert_eq!(ended.unwrap().0, outcome);
        let heard = node.heard().remove(0);
        assert_eq!(heard.line, format!("POST /node/v1/sessions/{}:logout", session()));
        assert_eq!(heard.body, Some(json!({ "epoch": 11, "linked": true, "deadlineMs": 1500 })));
    }
}

#[tokio::test]
async fn forgetting_carries_its_epoch() {
    let node = ScriptedNode::start(Script::Says(StatusCode::NO_CONTENT, String::new())).await;
    client(PATIENCE).forget(&node.enlisted(), &session(), 12, false).await.unwrap();
    let heard = node.heard().remove(0);
    assert_eq!(heard.line, format!("DELETE /node/v1/sessions/{}?epoch=12&linked=false", session()));
    assert_eq!((heard.body, heard.content_type), (None, None));
    assert_eq!(heard.authorization.unwrap(), format!("Bearer {TOKEN}"));
}

#[tokio::test]
async fn an_identity_is_asked_live() {
    let identity = snapshot(&session())["identity"].clone();
    let node = ScriptedNode::start(ok(&json!({ "connected": true, "identity": identity }))).await;
    let live = client(PATIENCE).identity(&node.enlisted(), &session()).await.unwrap();
    assert!(live.connected);
    assert_eq!(live.identity.unwrap().phone, "15550001");
    assert_eq!(node.heard()[0].line, format!("GET /node/v1/sessions/{}/identity", session()));
}

#[tokio::test]
async fn calls_share_a_kept_connection() {
    let node = ScriptedNode::start(ok(&snapshot(&session()))).await;
    let client = client(PATIENCE);
    for _ in 0..5 {
        client.declare(&node.enlisted(), &session(), &declaration()).await.unwrap();
    }
    assert_eq!((node.heard().len(), node.connections()), (5, 1));
}
