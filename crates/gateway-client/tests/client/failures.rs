//! The errors of the port when a node refuses, does not respond, or is another program.

use std::time::Duration;

use domain::{
    GatewayId, SessionId,
    ports::{GatewayError, SessionControl},
};
use gateway_client::{Client, Config, NodeTokens};
use hyper::StatusCode;
use serde_json::json;

use crate::scripted_node::{
    Script, ScriptedNode, TIMEOUT, TOKEN, client, declaration, node_at, session, snapshot,
};

/// Returns the error of a declaration to a node with a script.
async fn failure(script: Script, timeout: Duration) -> GatewayError {
    let node = ScriptedNode::start(script).await;
    let client = client(timeout);
    let (registered, session, spec) = (node.registered(), session(), declaration());
    let call = client.declare(&registered, &session, &spec);
    let ended = tokio::time::timeout(TIMEOUT, call).await.expect("the call outlived its deadline");
    assert_eq!(node.received().len(), 1, "a command that may have arrived was sent again");
    ended.expect_err("the call succeeded")
}

fn kind(error: &GatewayError) -> &'static str {
    match error {
        GatewayError::Unreachable(_) => "unreachable",
        GatewayError::Unavailable(_) => "unavailable",
        GatewayError::Stale => "stale",
        GatewayError::Full => "full",
        GatewayError::Unknown => "unknown",
        GatewayError::Linked => "linked",
        GatewayError::Broken(_) => "broken",
    }
}

#[tokio::test]
async fn every_refusal_code_maps_to_an_error() {
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
        let script = Script::Respond(StatusCode::from_u16(status).unwrap(), body);
        assert_eq!(kind(&failure(script, TIMEOUT).await), meaning, "{code}");
    }
}

#[tokio::test]
async fn error_without_a_refusal_is_classified_by_status() {
    for (status, meaning) in
        [(502, "unavailable"), (504, "unavailable"), (404, "broken"), (302, "broken")]
    {
        let script = Script::Respond(StatusCode::from_u16(status).unwrap(), "<html>".into());
        assert_eq!(kind(&failure(script, TIMEOUT).await), meaning, "{status}");
    }
}

#[tokio::test]
async fn missing_response_ends_at_the_deadline() {
    for script in [Script::NoResponse, Script::IncompleteBody] {
        let error = failure(script.clone(), Duration::from_millis(200)).await;
        assert_eq!(kind(&error), "unavailable", "{script:?}");
    }
}

#[tokio::test]
async fn every_call_has_a_deadline() {
    let node = ScriptedNode::start(Script::NoResponse).await;
    let (client, registered) = (client(Duration::from_millis(100)), node.registered());
    let calls = async {
        let short = Duration::from_millis(100);
        let logout = client.logout(&registered, &session(), 1, true, short).await.unwrap_err();
        let forget = client.forget(&registered, &session(), 1, false).await.unwrap_err();
        let identity = client.identity(&registered, &session()).await.unwrap_err();
        [kind(&logout), kind(&forget), kind(&identity)]
    };
    let ended = tokio::time::timeout(TIMEOUT, calls).await.expect("a call outlived its deadline");
    assert_eq!(ended, ["unavailable"; 3]);
}

#[tokio::test]
async fn request_on_a_broken_connection_is_not_retried() {
    assert_eq!(kind(&failure(Script::CloseConnection, TIMEOUT).await), "unavailable");
}

#[tokio::test]
async fn invalid_response_is_broken() {
    let another = snapshot(&SessionId::from_bits(43)).to_string();
    let mut huge = snapshot(&session());
    huge["epoch"] = json!(u64::MAX);
    let mut invalid = snapshot(&session());
    invalid["status"] = json!("dancing");
    for body in ["", "nonsense", "{}", &another, &huge.to_string(), &invalid.to_string()] {
        let script = Script::Respond(StatusCode::OK, body.into());
        assert_eq!(kind(&failure(script, TIMEOUT).await), "broken", "{body}");
    }
}

#[tokio::test]
async fn response_beyond_the_limit_is_broken() {
    for status in [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR] {
        let script = Script::Respond(status, " ".repeat(1 << 20));
        let error = failure(script, TIMEOUT).await;
        assert_eq!(kind(&error), "broken");
    }
}

#[tokio::test]
async fn only_status_204_confirms_wiped_keys() {
    let node = ScriptedNode::start(Script::Respond(StatusCode::OK, "{}".into())).await;
    let error = client(TIMEOUT).forget(&node.registered(), &session(), 1, false).await.unwrap_err();
    assert_eq!(kind(&error), "broken");
}

#[tokio::test]
async fn node_without_a_token_is_never_called() {
    let node = ScriptedNode::start(Script::NoResponse).await;
    let other_node = [(GatewayId::parse("gw-other").unwrap(), TOKEN.into())];
    let client = Client::new(Config::new(NodeTokens::from_iter(other_node))).unwrap();
    let error = client.forget(&node.registered(), &session(), 1, false).await.unwrap_err();
    assert_eq!(kind(&error), "unreachable");
    assert_eq!(node.connections(), 0);
}

#[tokio::test]
async fn node_without_a_listener_is_unreachable_and_invalid_address_is_broken() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let client = client(TIMEOUT);
    let error = client.forget(&node_at(address), &session(), 1, false).await.unwrap_err();
    assert_eq!(kind(&error), "unreachable");
    let error =
        client.forget(&node_at("http://a b".into()), &session(), 1, false).await.unwrap_err();
    assert_eq!(kind(&error), "broken");
}

#[tokio::test]
async fn https_address_is_never_called_without_tls() {
    let node = ScriptedNode::start(Script::Respond(StatusCode::NO_CONTENT, String::new())).await;
    let error = client(TIMEOUT).forget(&node.registered_with_https(), &session(), 1, false).await;
    assert_eq!(kind(&error.unwrap_err()), "unreachable");
    assert_eq!(node.received(), []);
}

#[test]
fn debug_output_has_no_token() {
    let shown = format!("{:?}", client(TIMEOUT));
    assert!(!shown.contains(TOKEN), "{shown}");
}
