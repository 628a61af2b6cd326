//! What the port says when a node refuses, is silent, or is no node at all.

use std::time::Duration;

use domain::{
    GatewayId, SessionId,
    ports::{GatewayError, SessionControl},
};
use gateway_client::{Client, Config, NodeTokens};
use hyper::StatusCode;
use serde_json::json;

use crate::scripted_node::{
    PATIENCE, Script, ScriptedNode, TOKEN, client, declaration, node_at, session, snapshot,
};

/// How a declaration to a node that follows this script fails.
async fn failure(script: Script, patience: Duration) -> GatewayError {
    let node = ScriptedNode::start(script).await;
    let client = client(patience);
    let (enlisted, session, spec) = (node.enlisted(), session(), declaration());
    let call = client.declare(&enlisted, &session, &spec);
    let ended = tokio::time::timeout(PATIENCE, call).await.expect("the call outlived its deadline");
    assert_eq!(node.heard().len(), 1, "a command that may have arrived was sent again");
    ended.expect_err("the call succeeded")
}

fn kind(error: &GatewayError) -> &'static str {
    match error {
        GatewayError::Unavailable(_) => "unavailable",
        GatewayError::Stale => "stale",
        GatewayError::Full => "full",
        GatewayError::Unknown => "unknown",
        GatewayError::Linked => "linked",
        GatewayError::Broken(_) => "broken",
    }
}

#[tokio::test]
async fn every_refusal_has_its_meaning() {
    for (status, code, meaning) in [
        (409, "stale_epoch", "stale"),
        (404, "unknown_session", "unknown"),
        (503, "at_capacity", "full"),
        (401, "unauthorized", "unavailable"),
        (503, "unavailable", "unavailable"),
        (500, "internal", "unavailable"),
        (409, "still_linked", "linked"),
        (409, "not_enlisted", "broken"),
        (400, "malformed", "broken"),
        (405, "unknown_call", "broken"),
    ] {
        let body = json!({ "code": code, "message": "because" }).to_string();
        let script = Script::Says(StatusCode::from_u16(status).unwrap(), body);
        assert_eq!(kind(&failure(script, PATIENCE).await), meaning, "{code}");
    }
}

#[tokio::test]
async fn an_error_that_is_no_nodes_word_is_not_taken_for_one() {
    for (status, meaning) in
        [(502, "unavailable"), (504, "unavailable"), (404, "broken"), (302, "broken")]
    {
        let script = Script::Says(StatusCode::from_u16(status).unwrap(), "<html>".into());
        assert_eq!(kind(&failure(script, PATIENCE).await), meaning, "{status}");
    }
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    for script in [Script::Silence, Script::Dribble] {
        let error = failure(script.clone(), Duration::from_millis(200)).await;
        assert_eq!(kind(&error), "unavailable", "{script:?}");
    }
}

#[tokio::test]
async fn every_call_has_a_deadline() {
    let node = ScriptedNode::start(Script::Silence).await;
    let (client, enlisted) = (client(Duration::from_millis(100)), node.enlisted());
    let calls = async {
        let short = Duration::from_millis(100);
        let logout = client.logout(&enlisted, &session(), 1, true, short).await.unwrap_err();
        let forget = client.forget(&enlisted, &session(), 1, false).await.unwrap_err();
        let identity = client.identity(&enlisted, &session()).await.unwrap_err();
        [kind(&logout), kind(&forget), kind(&identity)]
    };
    let ended = tokio::time::timeout(PATIENCE, calls).await.expect("a call outlived its deadline");
    assert_eq!(ended, ["unavailable"; 3]);
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_not_tried_again() {
    assert_eq!(kind(&failure(Script::HangUp, PATIENCE).await), "unavailable");
}

#[tokio::test]
async fn nonsense_is_broken() {
    let another = snapshot(&SessionId::from_bits(43)).to_string();
    let mut huge = snapshot(&session());
    huge["epoch"] = json!(u64::MAX);
    let mut odd = snapshot(&session());
    odd["status"] = json!("dancing");
    for body in ["", "nonsense", "{}", &another, &huge.to_string(), &odd.to_string()] {
        let script = Script::Says(StatusCode::OK, body.into());
        assert_eq!(kind(&failure(script, PATIENCE).await), "broken", "{body}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    for status in [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR] {
        let script = Script::Says(status, " ".repeat(1 << 20));
        let error = failure(script, PATIENCE).await;
        assert_eq!(kind(&error), "broken");
    }
}

#[tokio::test]
async fn keys_count_as_wiped_on_the_nodes_exact_word_only() {
    let node = ScriptedNode::start(Script::Says(StatusCode::OK, "{}".into())).await;
    let error = client(PATIENCE).forget(&node.enlisted(), &session(), 1, false).await.unwrap_err();
    assert_eq!(kind(&error), "broken");
}

#[tokio::test]
async fn a_node_without_a_token_is_never_called() {
    let node = ScriptedNode::start(Script::Silence).await;
    let stranger = [(GatewayId::parse("gw-other").unwrap(), TOKEN.into())];
    let client = Client::new(Config::new(NodeTokens::from_iter(stranger))).unwrap();
    let error = client.forget(&node.enlisted(), &session(), 1, false).await.unwrap_err();
    assert_eq!(kind(&error), "unavailable");
    assert_eq!(node.connections(), 0);
}

#[tokio::test]
async fn a_node_that_is_not_there_is_unavailable_and_an_address_that_cannot_be_is_broken() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let client = client(PATIENCE);
    let error = client.forget(&node_at(address), &session(), 1, false).await.unwrap_err();
    assert_eq!(kind(&error), "unavailable");
    let error =
        client.forget(&node_at("http://a b".into()), &session(), 1, false).await.unwrap_err();
    assert_eq!(kind(&error), "broken");
}

#[tokio::test]
async fn what_is_meant_for_https_never_leaves_in_the_clear() {
    let node = ScriptedNode::start(Script::Says(StatusCode::NO_CONTENT, String::new())).await;
    let error = client(PATIENCE).forget(&node.enlisted_as_https(), &session(), 1, false).await;
    assert_eq!(kind(&error.unwrap_err()), "unavailable");
    assert_eq!(node.heard(), []);
}

#[test]
fn no_secret_is_shown() {
    let shown = format!("{:?}", client(PATIENCE));
    assert!(!shown.contains(TOKEN), "{shown}");
}
