//! Authorization rules over the whole operation table and every kind of caller, so that the rules
//! cover a new operation automatically. `authorization.txt` contains the statuses.

use domain::{
    Actor, KeyId,
    testing::{CANARY, World},
};
use http_hyper::{
    api::{IdempotencyMode, Operation, RequestBodySpec, Requires, operations},
    wire,
};
use hyper::Method;
use serde_json::Value;

use crate::{
    caller_kinds::{KINDS, Kind},
    client::{BOTH, Version},
    operation_calls::{
        guarded, missing, of_callers, of_the_platform, of_things, path, permitted, ready_for,
        unentitled, walk,
    },
    test_server::TestServer,
};

#[tokio::test]
async fn admin_succeeds_on_every_operation_and_is_the_actor_of_changes() {
    let server = TestServer::open().await;
    let admin = World::acme().actor;
    let manager = Actor::Key(KeyId::from_bits(2));
    for (caller, actor) in [("acme", admin.clone()), ("browser", admin), ("manager", manager)] {
        let own = |row: &&Operation| match row.requires {
            Requires::Platform | Requires::Ticket | Requires::Link | Requires::LinkSecret => false,
            Requires::Read | Requires::Send => caller != "manager",
            _ => true,
        };
        for row in of_callers().filter(own) {
            let id = ready_for(&server, row).await;
            let before = server.world.memory.events().len();
            let answer = walk(&server, Version::One, caller, row, &id).await;
            assert!(answer.status.is_success(), "{row:?}: {answer:?}");
            let events = server.world.memory.events().split_off(before);
            let signed = events.iter().any(|event| event.actor == actor);
            // A message is sent without an event; events tell of its status.
            let changes = match row.name {
                "message_cancel" | "chat_read" => true,
                _ => {
                    row.method == Method::DELETE
                        || row.method != Method::GET
                            && row.method != Method::PUT
                            && row.idempotency == IdempotencyMode::Recorded
                }
            };
            assert_eq!(signed, changes, "{row:?} left {events:?}");
            let named =
                |event: &domain::Event| event.actor == actor || event.actor == Actor::System;
            assert!(events.iter().all(named), "{row:?} names another: {events:?}");
        }
    }
}

#[tokio::test]
async fn platform_operations_are_for_operators_only() {
    let server = TestServer::open().await;
    let id = server.linked().await.id.to_string();
    for row in of_the_platform() {
        for caller in ["operator", "platform"] {
            let answer = walk(&server, Version::One, caller, row, &id).await;
            assert_eq!(answer.status, 200, "{row:?} {caller}");
        }
        let here = format!("only-{id}");
        let mut outcomes = Vec::new();
        for caller in ["acme", "manager", "zeta", "member", "guest", "nowhere", &here] {
            let answer = walk(&server, Version::Two, caller, row, &id).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "forbidden"));
            outcomes.push(answer.comparable());
        }
        assert!(outcomes.iter().all(|answer| *answer == outcomes[0]), "{row:?}");
    }
}

#[tokio::test]
async fn hidden_and_missing_objects_have_equal_responses() {
    for row in of_things() {
        let server = TestServer::open().await;
        let missing = missing(&server, row).await;
        let hidden = ready_for(&server, row).await;
        let other = server.linked().await.id;
        let before = server.fingerprint();
        for version in BOTH {
            for kind in KINDS.iter().filter(|kind| !kind.may(row)) {
                let caller = kind.token(&hidden, other.as_str());
                let outcomes = walk(&server, version, &caller, row, &hidden).await;
                assert!(
                    outcomes.status.is_client_error() || outcomes.status == 503,
                    "{row:?} {kind:?}"
                );
                for name in &missing {
                    let not_there = walk(&server, version, &caller, row, name).await;
                    assert_eq!(
                        outcomes.comparable(),
                        not_there.comparable(),
                        "{row:?} {kind:?} {name}"
                    );
                }
            }
            // The owner cannot distinguish a deleted object from one that never existed.
            let gone = walk(&server, version, "acme", row, &missing[0]).await;
            let never = walk(&server, version, "acme", row, &missing[1]).await;
            assert_eq!(gone.comparable(), never.comparable(), "{row:?}");
            assert_eq!((gone.status.as_u16(), gone.code().as_str()), (404, "not_found"));
        }
        assert_eq!(server.fingerprint(), before, "{row:?} changed something for a stranger");
    }
}

#[tokio::test]
async fn head_reveals_no_more_than_get() {
    let server = TestServer::open().await;
    for row in of_things().filter(|row| row.method == Method::GET) {
        let (hidden, missing) = (ready_for(&server, row).await, missing(&server, row).await);
        let outcomes = server.ask("zeta", "HEAD", &path(row, &hidden)).await;
        for name in &missing {
            let not_there = server.ask("zeta", "HEAD", &path(row, name)).await;
            assert_eq!(outcomes.comparable(), not_there.comparable(), "{row:?}");
        }
        assert!(outcomes.status == 404 && outcomes.body.is_empty(), "{row:?}");
    }
}

#[tokio::test]
async fn missing_capability_is_403_on_every_operation() {
    let server = TestServer::open().await;
    let mine = server.linked().await.id.as_str().to_owned();
    for row in permitted() {
        let missing = missing(&server, row).await;
        let before = server.fingerprint();
        for caller in unentitled(row) {
            let refused = walk(&server, Version::One, caller, row, &mine).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "forbidden"));
            for name in &missing {
                let other = walk(&server, Version::Two, caller, row, name).await;
                assert_eq!(refused.status, other.status, "{row:?}");
                assert_eq!(refused.body, other.body, "{row:?}");
            }
        }
        assert_eq!(server.fingerprint(), before);
    }
}

/// A caller without the permission gets 403 whatever other faults the request has: the permission
/// is checked before the use case.
#[tokio::test]
async fn rejection_does_not_echo_the_request() {
    let server = TestServer::open().await;
    let (mine, other) = (server.linked().await.id, server.linked().await.id);
    let nonsense = Value::from("nonsense");
    for row in guarded() {
        for kind in &KINDS {
            let caller = kind.token(mine.as_str(), other.as_str());
            // The object does not exist, so that entitled callers change nothing.
            let refused = walk(&server, Version::One, &caller, row, "no-such-name").await;
            if refused.status != 403 {
                continue;
            }
            let at = path(row, "no-such-name");
            let at = format!("{at}{}nonsense=1", if at.contains('?') { '&' } else { '?' });
            let body = (row.body_spec != RequestBodySpec::Ignored).then_some(&nonsense);
            let wrong = server.say(Version::One, &caller, row.method.as_str(), &at, body).await;
            assert_eq!(refused.comparable(), wrong.comparable(), "{row:?} as {kind:?}");
        }
    }
}

#[tokio::test]
async fn confined_caller_cannot_create_sessions() {
    let server = TestServer::open().await;
    let mine = server.linked().await.id.as_str().to_owned();
    let caller = format!("only-{mine}");
    let before = server.fingerprint();
    for body in [wire::SessionSpec::sample(), Value::from(7)] {
        let answer = server.post(&caller, "/api/v1/sessions", &body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "forbidden"));
    }
    let list = server.ask(&caller, "GET", "/api/v1/sessions").await.json();
    server.world.acme_session().await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_ne!(server.fingerprint(), before);
    assert_eq!(list, server.ask(&caller, "GET", "/api/v1/sessions").await.json());
}

#[tokio::test]
async fn response_401_is_the_same_for_every_cause() {
    let server = TestServer::open().await;
    let mine = server.linked().await.id.as_str().to_owned();
    let before = server.fingerprint();
    let reference = walk(&server, Version::One, "", guarded().next().unwrap(), &mine).await;
    assert_eq!((reference.status.as_u16(), reference.code().as_str()), (401, "unauthorized"));
    assert_eq!(reference.header("www-authenticate"), "Bearer");
    for row in guarded() {
        for caller in ["", "garbage", "unknown", "expired", "revoked"] {
            for id in [mine.as_str(), "no-such-name"] {
                let refused = walk(&server, Version::One, caller, row, id).await;
                assert_eq!(refused.comparable(), reference.comparable(), "{row:?} {caller}");
            }
        }
    }
    assert_eq!(server.fingerprint(), before);
}

#[tokio::test]
async fn unverifiable_credential_is_503_with_retry_after() {
    let server = TestServer::open().await;
    for row in guarded() {
        let answer = walk(&server, Version::One, "down", row, "any").await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "unavailable"));
        assert!(!answer.header("retry-after").is_empty());
        assert!(!String::from_utf8_lossy(&answer.body).contains("moon"));
    }
}

#[tokio::test]
async fn canaries_never_appear_in_other_organizations() {
    // The files of Swagger UI contain many words; `documentation.rs` checks that they are the same
    // for all callers.
    for row in operations().filter(|row| !row.path.starts_with("/docs/swagger-ui")) {
        let server = TestServer::open().await;
        let (hidden, other) = (ready_for(&server, row).await, server.linked().await.id);
        // A caller sees its own subject and organization.
        let entitled = |kind: &&Kind| match row.requires {
            Requires::Platform => kind.is_of_the_platform(),
            // The events of the sessions that the caller can reach.
            Requires::AnyCapability => kind.is_elsewhere(),
            Requires::Credential => kind.names_acme(),
            // The code names the session in this world.
            Requires::Link => kind.name == "holder",
            _ => false,
        };
        for kind in KINDS.iter().filter(|kind| !kind.may(row)).filter(|kind| !entitled(kind)) {
            let caller = kind.token(&hidden, other.as_str());
            server.open_link(&caller).await;
            let answer = walk(&server, Version::Two, &caller, row, &hidden).await;
            let text = format!("{:?}{}", answer.headers, String::from_utf8_lossy(&answer.body));
            // A confined caller may see its own session in a list.
            let its_own = kind.is_elsewhere() && answer.status.is_success();
            let secrets: &[&str] =
                if its_own { &[&hidden] } else { &[CANARY, &hidden, "gw-test", "rainy", "moon"] };
            for secret in secrets {
                assert!(!text.contains(secret), "{row:?} tells {kind:?} of {secret}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn other_methods_are_rejected_with_allow() {
    let server = TestServer::open().await;
    for path in operations().map(|row| row.path) {
        let methods: Vec<_> =
            operations().filter(|row| row.path == path).map(|row| row.method.as_str()).collect();
        let mut allow = methods.clone();
        allow.extend(methods.contains(&"GET").then_some("HEAD"));
        allow.push("OPTIONS");
        allow.sort_unstable();
        let allow = allow.join(", ");
        let path = path
            .replace("{session}", "sess_x")
            .replace("{key}", "key_x")
            .replace("{link}", "lnk_x");
        let path = path.replace("{webhook}", "wh_x").replace("{deadLetter}", "evt_x");
        let path = path.replace("{chat}", "7").replace("{message}", "3EB0");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
            if methods.contains(&method) {
                continue;
            }
            for caller in ["", "acme"] {
                let answer = server.ask(caller, method, &path).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.code().as_str()),
                    (405, "method_not_allowed")
                );
                assert_eq!(answer.header("allow"), allow, "{method} {path}");
                answer.assert_well_formed(&path);
            }
        }
        let options = server.ask("", "OPTIONS", &path).await;
        assert_eq!((options.status.as_u16(), options.header("allow")), (204, allow.as_str()));
        assert!(options.body.is_empty());
    }
}

#[tokio::test]
async fn operations_without_permission_are_exactly_these() {
    let open: Vec<_> =
        operations().filter(|row| row.requires == Requires::Nothing).map(|row| row.path).collect();
    let probes = ["/livez", "/readyz"];
    let document = ["/openapi.json", "/docs", "/docs/start.js"];
    let swagger_ui = ["/docs/swagger-ui.js", "/docs/swagger-ui.css"];
    let logins = ["/auth/options", "/auth/login", "/auth/callback"];
    assert_eq!(open, [&probes[..], &document, &swagger_ui, &logins].concat());
    let mut names: Vec<_> = operations().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), operations().count(), "two operations share a name");
}

#[tokio::test]
async fn two_credentials_are_rejected() {
    let server = TestServer::open().await;
    let path = "/api/v1/sessions";
    let one = crate::client::ask("GET", path);
    for request in [
        one.header("authorization", "Bearer acme").header("x-api-key", "acme"),
        crate::client::ask("GET", path).header("x-api-key", "acme").header("x-api-key", "acme"),
    ] {
        let answer = crate::client::send(server.address, Version::One, request, "").await;
        assert_eq!(answer.status, 401);
    }
    for (name, value) in
        [("authorization", "bearer acme"), ("x-api-key", "acme"), ("authorization", "BEARER acme")]
    {
        let request = crate::client::ask("GET", path).header(name, value);
        assert_eq!(
            crate::client::send(server.address, Version::Two, request, "").await.status,
            200
        );
    }
}
