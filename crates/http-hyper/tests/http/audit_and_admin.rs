//! The audit log of an organization, and the list of all sessions for operators.

use domain::testing::{CANARY, World};
use serde_json::{Value, json};

use crate::test_server::TestServer;

const AUDIT: &str = "/api/v1/audit";
const ADMIN: &str = "/api/v1/admin/sessions";

/// Returns all entries of a list, read in pages of two.
async fn all(server: &TestServer, caller: &str, path: &str, query: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.ask(caller, "GET", &format!("{path}?limit=2&{query}{cursor}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.json();
        found.extend(page["data"].as_array().unwrap().iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn outcomes(events: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    events.iter().map(|event| (text(&event["event"]), text(&event["actor"]["id"]))).collect()
}

#[tokio::test]
async fn audit_list_is_newest_first_with_actors() {
    let server = TestServer::open().await;
    let made = server.post("acme", "/api/v1/sessions", &json!({ "label": "a" })).await.json();
    let id = made["id"].as_str().unwrap();
    let key = json!({ "name": "k", "capabilities": ["manage"] });
    let key = server.post("manager", "/api/v1/api-keys", &key).await.json();
    let path = format!("/api/v1/sessions/{id}");
    server
        .say(crate::client::Version::One, "manager", "PATCH", &path, Some(&json!({ "label": "b" })))
        .await;
    server.ask("acme", "DELETE", &path).await;
    let events = all(&server, "acme", AUDIT, "").await;
    let (person, manager) = ("user-of-acme-canary", domain::KeyId::from_bits(2).to_string());
    let expected = [
        ("session.retired", "-"),
        ("session.deleted", person),
        ("session.updated", &manager),
        ("api_key.created", &manager),
        ("session.created", person),
    ];
    assert_eq!(outcomes(&events), expected.map(|(event, who)| (event.to_owned(), who.to_owned())));
    assert_eq!(events[0]["session"], id, "also of what is gone");
    assert_eq!(events[0]["payload"], json!({ "unlink": "not_linked" }), "no node ever held it");
    assert_eq!(events[2]["payload"], json!({ "fields": "label" }));
    assert_eq!(events[3]["payload"]["key"], key["id"]);
    assert_eq!((&events[3]["session"], &events[3]["sequence"]), (&Value::Null, &json!(0)));
    let mut names: Vec<_> = events[0].as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let fields = "actor event id organization payload schema sequence session stream timestamp";
    assert_eq!(names.join(" "), fields);
    assert!(!events.iter().any(|event| event.to_string().contains(key["key"].as_str().unwrap())));
}

#[tokio::test]
async fn audit_list_filters_by_session_and_event_within_the_organization() {
    let server = TestServer::open().await;
    let (one, other) = (server.linked().await.id, server.world.acme_session().await.id);
    let key = server.key().await;
    server.world.keys.revoke(&World::acme(), key.id.as_str()).await.unwrap();
    let everything = all(&server, "acme", AUDIT, "").await;
    let of_one = all(&server, "acme", AUDIT, &format!("sessionId={one}")).await;
    assert!(of_one.len() > 3 && of_one.iter().all(|event| event["session"] == one.as_str()));
    let sequences: Vec<_> =
        of_one.iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
    assert!(sequences.is_sorted_by(|a, b| a == &(b + 1)), "{sequences:?}");
    let revoked = all(&server, "acme", AUDIT, "event=api_key.revoked").await;
    assert_eq!(revoked.len(), 1);
    let both =
        all(&server, "acme", AUDIT, &format!("sessionId={other}&event=session.created")).await;
    assert_eq!(both.len(), 1);
    assert!(everything.len() > of_one.len() + 2);
    for nothing in ["sessionId=sess_none", "sessionId=%ff", "sessionId=", "event=auth.code"] {
        let answer = server.ask("acme", "GET", &format!("{AUDIT}?{nothing}")).await;
        if nothing.contains('%') {
            assert_eq!(answer.faults(), ["sessionId"]);
        } else {
            assert_eq!(answer.json(), json!({ "data": [], "nextCursor": null }), "{nothing}");
        }
    }
    for wrong in ["event=nothing.happened", "event=auth.qr&event=auth.qr", "events=auth.qr"] {
        let answer = server.ask("acme", "GET", &format!("{AUDIT}?{wrong}")).await;
        assert_eq!((answer.status.as_u16(), answer.faults().len()), (400, 1), "{wrong}");
    }
    assert_eq!(all(&server, "zeta", AUDIT, "").await, Vec::<Value>::new());
    assert_eq!(all(&server, "zeta", AUDIT, &format!("sessionId={one}")).await, Vec::<Value>::new());
}

#[tokio::test]
async fn operator_list_covers_all_organizations_or_one() {
    let server = TestServer::open().await;
    let mine = server.linked().await.id;
    let theirs = server.post("zeta", "/api/v1/sessions", &json!({})).await.json();
    let ids = |found: &[Value]| {
        found.iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let every = all(&server, "operator", ADMIN, "").await;
    assert_eq!(ids(&every), [theirs["id"].as_str().unwrap(), mine.as_str()]);
    assert_eq!(every[0], theirs, "shown as to its owner");
    for (query, expected) in [
        ("organizationId=zeta", vec![theirs["id"].as_str().unwrap()]),
        ("organizationId=acme-canary", vec![mine.as_str()]),
        ("organizationId=acme-canary&status=working", vec![mine.as_str()]),
        ("status=working", vec![mine.as_str()]),
        ("status=failed", vec![]),
        ("organizationId=nobody", vec![]),
        ("organizationId=", vec![]),
        ("gatewayId=no%2Fnode", vec![]),
    ] {
        assert_eq!(ids(&all(&server, "operator", ADMIN, query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn cursor_of_one_list_is_invalid_in_another() {
    let server = TestServer::open().await;
    for _ in 0..3 {
        server.world.acme_session().await;
    }
    let lists = [
        ("acme", "/api/v1/sessions", ""),
        ("acme", AUDIT, ""),
        ("acme", AUDIT, "event=session.created&"),
        ("operator", ADMIN, ""),
        ("operator", ADMIN, "organizationId=acme-canary&"),
    ];
    let mut cursors = Vec::new();
    for (caller, path, query) in lists {
        let page = server.ask(caller, "GET", &format!("{path}?{query}limit=1")).await.json();
        cursors.push(page["nextCursor"].as_str().unwrap().to_owned());
    }
    for (n, (caller, path, query)) in lists.into_iter().enumerate() {
        for (m, cursor) in cursors.iter().enumerate() {
            let at = format!("{path}?{query}limit=1&cursor={cursor}");
            let answer = server.ask(caller, "GET", &at).await;
            assert_eq!(answer.status.as_u16(), if n == m { 200 } else { 400 }, "{n} {m}");
            assert!(n == m || !String::from_utf8_lossy(&answer.body).contains(CANARY));
        }
    }
}
