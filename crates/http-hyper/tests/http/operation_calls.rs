//! Calls of any operation of the table, with a valid body and an object in the right state.

use domain::{KeyId, SessionId, WebhookId, testing::World};
use http_hyper::{
    api::{Operation, RequestBodySpec, Requires, operations},
    wire,
};
use serde_json::Value;

use crate::{
    client::{ReceivedResponse, Version},
    test_server::TestServer,
};

/// Returns the operations that require a credential in a header.
pub(crate) fn guarded() -> impl Iterator<Item = &'static Operation> {
    of_callers().filter(|row| {
        let without = matches!(row.requires, Requires::Nothing | Requires::Ticket);
        !without && !is_of_holder(row)
    })
}

/// Returns whether the operation is for the browser of a share link.
pub(crate) fn is_of_holder(row: &Operation) -> bool {
    matches!(row.requires, Requires::Link | Requires::LinkSecret)
}

/// Returns the operations without those of browsers, which `browser_sessions.rs` and the matrix test.
pub(crate) fn of_callers() -> impl Iterator<Item = &'static Operation> {
    operations().filter(|row| !row.path.starts_with("/auth/"))
}

/// Returns the operations of organizations that require a certain capability.
pub(crate) fn permitted() -> impl Iterator<Item = &'static Operation> {
    guarded().filter(|row| is_of_messages(row) || manages(row))
}

fn manages(row: &Operation) -> bool {
    matches!(row.requires, Requires::Manage | Requires::ManageAll)
}

/// Returns whether the operation requires the capability to read or to send.
pub(crate) fn is_of_messages(row: &Operation) -> bool {
    matches!(row.requires, Requires::Read | Requires::Send)
}

/// Returns callers that lack the capability of the operation.
pub(crate) fn unentitled(row: &Operation) -> Vec<&'static str> {
    let manager = if manages(row) { ["member", "reader"].as_slice() } else { &["manager"] };
    [manager, &["guest", "nowhere", "operator", "platform"]].concat()
}

/// Returns the operations of operators.
pub(crate) fn of_the_platform() -> impl Iterator<Item = &'static Operation> {
    operations().filter(|row| row.requires == Requires::Platform)
}

/// Returns a caller with the permission.
pub(crate) fn entitled(row: &Operation) -> &'static str {
    if row.requires == Requires::Platform { "operator" } else { "acme" }
}

/// Returns a caller that may use the operation on an object of acme.
pub(crate) async fn caller_of(server: &TestServer, row: &Operation, id: &str) -> String {
    if !is_of_holder(row) {
        return "acme".to_owned();
    }
    let holder = format!("holder-{id}");
    server.open_link(&holder).await;
    holder
}

/// Returns the operations on one object.
pub(crate) fn of_things() -> impl Iterator<Item = &'static Operation> {
    operations().filter(|row| row.path.contains('{'))
}

/// Returns the path of an operation on an object.
pub(crate) fn path(row: &Operation, id: &str) -> String {
    // The id of an object below another object follows the other's id.
    let (id, below) = id.split_once('|').unwrap_or((id, id));
    let path = row.path.replace("{session}", id).replace("{key}", id).replace("{link}", below);
    let path = path.replace("{webhook}", id).replace("{deadLetter}", below);
    let path = path.replace("{chat}", below).replace("{message}", below);
    // A required parameter.
    let path = path.replace("contacts/check", "contacts/check?phone=15551234567");
    assert!(!path.contains('{'), "{row:?} has a parameter that is unknown here");
    path
}

/// Returns a valid body.
pub(crate) fn body(row: &Operation) -> Option<Value> {
    match row.name {
        "session_create" => Some(wire::SessionSpec::sample()),
        "session_update" => Some(wire::SessionPatch::sample()),
        "session_pairing_code" => Some(wire::PairingCodeSpec::sample()),
        "message_send" => Some(wire::MessageSpec::sample()),
        "chat_read" | "link_create" => Some(serde_json::json!({})),
        "chat_presence" => Some(wire::PresenceSpec::sample()),
        "webhook_create" => Some(wire::WebhookSpec::sample()),
        "webhook_update" => Some(wire::WebhookPatchSpec::sample()),
        "browser_session_create" => Some(serde_json::json!({ "credential": "acme" })),
        "browser_session_switch" => Some(serde_json::json!({ "organization": "acme-canary" })),
        // A form, which needs a listed origin.
        "browser_session_handover" => None,
        "webhook_replay" => Some(wire::ReplayRequestSpec::sample()),
        "link_open" => Some(wire::LinkSecretSpec::sample()),
        "link_pairing_code" => Some(wire::LinkCodeSpec::sample()),
        "api_key_create" => Some(serde_json::json!({ "name": "k", "capabilities": ["manage"] })),
        name => {
            assert!(
                matches!(row.body_spec, RequestBodySpec::Ignored | RequestBodySpec::Empty),
                "{name} needs a sample"
            );
            None
        }
    }
}

/// Calls an operation on an object.
pub(crate) async fn walk(
    server: &TestServer,
    version: Version,
    caller: &str,
    row: &Operation,
    id: &str,
) -> ReceivedResponse {
    let (path, method) = (path(row, id), row.method.as_str());
    let body = match server.link_secret(caller).filter(|_| row.requires == Requires::LinkSecret) {
        Some(secret) => Some(serde_json::json!({ "secret": secret })),
        None => body(row),
    };
    let answer = server.say(version, caller, method, &path, body.as_ref()).await;
    if row.requires != Requires::Nothing || !answer.status.is_success() {
        answer.assert_well_formed(&format!("{row:?} as {caller:?}"));
    }
    answer
}

/// Returns an object of acme on which the operation succeeds and has an effect.
pub(crate) async fn ready_for(server: &TestServer, row: &Operation) -> String {
    if row.path.contains("{key}") {
        return server.key().await.id.to_string();
    }
    if row.path.contains("{webhook}") {
        return server.failing_webhook().await;
    }
    if row.path.contains("{link}") {
        let session = server.pairing().await.id;
        let link = server.share_link(&session).await.link;
        return format!("{session}|{}", link.id);
    }
    if row.name == "message_cancel" {
        return server.queued().await;
    }
    if row.path.contains("{chat}") || row.path.contains("{message}") {
        let received = server.received().await;
        let below = if row.path.contains("{chat}") { received.chat } else { received.wa_id };
        return format!("{}|{below}", received.session);
    }
    let session = match row.name {
        "session_qr" | "session_pairing_code" | "link_create" => server.pairing().await,
        _ if is_of_holder(row) => server.pairing().await,
        "session_start" => {
            let linked = server.linked().await;
            server.world.sessions.stop(&World::acme(), linked.id.as_str(), None).await.unwrap();
            server.reconciler.round().await;
            linked
        }
        _ => server.linked().await,
    };
    session.id.to_string()
}

/// Returns ids that the operation does not find, each for another reason.
pub(crate) async fn missing(server: &TestServer, row: &Operation) -> [String; 4] {
    let (gone, never) = if row.path.contains("{key}") {
        let revoked = server.key().await.id;
        server.world.keys.revoke(&World::acme(), revoked.as_str()).await.unwrap();
        (revoked.to_string(), KeyId::from_bits(7 << 100).to_string())
    } else if row.path.contains("{webhook}") {
        let deleted = server.failing_webhook().await;
        let (webhook, event) = deleted.split_once('|').unwrap();
        server.world.webhooks.delete(&World::acme(), webhook, None).await.unwrap();
        let never = format!("{}|{event}", WebhookId::from_bits(7 << 100));
        (deleted, never)
    } else {
        let deleted = ready_for(server, row).await;
        let (session, below) = deleted.split_once('|').unwrap_or((&deleted, ""));
        server.world.sessions.delete(&World::acme(), session, None).await.unwrap();
        let never = SessionId::from_bits(7 << 100);
        let never = if below.is_empty() { never.to_string() } else { format!("{never}|{below}") };
        (deleted, never)
    };
    [gone, never, "no-such-name".to_owned(), "%ff%00".to_owned()]
}
