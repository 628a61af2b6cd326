//! The command `berth key`.

use serde_json::Value;

use crate::berth::{Folder, text, until};

fn listed(folder: &Folder, organization: &str) -> Vec<Value> {
    let list = folder.run(&["key", "list", "--org", organization, "--json"]);
    assert!(list.status.success(), "{}", text(&list.stderr));
    serde_json::from_slice(&list.stdout).unwrap()
}

#[test]
fn key_is_printed_once_and_alone() {
    let folder = Folder::new();
    let made =
        folder.run(&["key", "create", "--org", "acme", "--name", "x", "--capability", "read"]);
    let (key, hint) = (text(&made.stdout), text(&made.stderr));
    assert_eq!(key.lines().count(), 1);
    assert!(key.starts_with("wa_") && key.ends_with('\n'), "{key}");
    let secret = key.trim_end();
    let id = listed(&folder, "acme")[0]["id"].as_str().unwrap().to_owned();
    assert!(hint.contains(&id) && !hint.contains(secret), "{hint}");
    for list in [&["key", "list", "--org", "acme"][..], &["key", "list", "--org", "acme", "--json"]]
    {
        let list = text(&folder.run(list).stdout);
        assert!(list.contains(&id) && !list.contains(secret), "{list}");
    }
}

#[test]
fn key_has_the_requested_properties() {
    let folder = Folder::new();
    let session = create_session(&folder, "acme");
    folder.key("acme", &["--capability", "read", "--expires", "30d", "--session", &session]);
    let key = listed(&folder, "acme").remove(0);
    assert_eq!(key["name"], "test");
    assert_eq!(key["capabilities"], serde_json::json!(["read", "manage"]));
    assert_eq!(key["sessions"], serde_json::json!([session]));
    let lifetime = key["expiresAt"].as_i64().unwrap() - key["createdAt"].as_i64().unwrap();
    let month = 30 * 86_400_000;
    assert!((month - 60_000..=month).contains(&lifetime), "{lifetime}");

    folder.key("acme", &["--expires", "2999-12-31T23:59:59Z"]);
    assert_eq!(listed(&folder, "acme")[0]["expiresAt"], 32_503_679_999_000_i64);
    folder.key("acme", &[]);
    assert_eq!(listed(&folder, "acme")[0]["expiresAt"], Value::Null);
}

/// Creates a session of an organization over the API and returns its id.
fn create_session(folder: &Folder, organization: &str) -> String {
    let berth = folder.serve();
    let maker = folder.key(organization, &[]);
    let made = berth.ask("listen", "POST", "/api/v1/sessions", Some(&maker));
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn key_is_confined_to_sessions_of_its_own_organization() {
    let folder = Folder::new();
    let (mine, theirs) = (create_session(&folder, "acme"), create_session(&folder, "zeta"));
    let before = listed(&folder, "acme").len();
    let create = ["key", "create", "--org", "acme", "--name", "x", "--capability", "read"];
    let never = "sess_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for other in [theirs.as_str(), never] {
        let refused =
            folder.run(&[&create[..], &["--session", &mine, "--session", other]].concat());
        let message = text(&refused.stderr);
        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0), "{message}");
        assert!(message.contains(&format!("--session {other:?}: no such session")), "{message}");
        assert!(!message.contains(&mine), "{message}");
    }
    assert_eq!(listed(&folder, "acme").len(), before);
}

#[test]
fn organization_lists_and_revokes_its_own_keys_only() {
    let folder = Folder::new();
    folder.key("acme", &[]);
    let id = listed(&folder, "acme")[0]["id"].as_str().unwrap().to_owned();
    assert!(listed(&folder, "zeta").is_empty());
    let revoke = |organization| folder.run(&["key", "revoke", "--org", organization, &id]);
    let foreign = revoke("zeta");
    assert_eq!(foreign.status.code(), Some(1));
    assert!(text(&foreign.stderr).contains("not found"));
    assert_eq!(listed(&folder, "acme").len(), 1);
    assert!(revoke("acme").status.success());
    assert!(listed(&folder, "acme").is_empty());
    assert_eq!(
        text(&revoke("acme").stderr),
        text(&foreign.stderr),
        "revoked and foreign keys give the same answer"
    );
}

#[test]
fn invalid_key_is_refused_with_a_message_and_not_created() {
    let folder = Folder::new();
    let create = ["key", "create", "--org", "acme"];
    for (more, word) in [
        (&["--name", "x", "--capability", "fly"][..], "fly"),
        (&["--name", "x"], "--capability"),
        (&["--name", "", "--capability", "read"], "--name"),
        (&["--name", "x", "--capability", "read", "--expires", "soon"], "90d"),
        (&["--name", "x", "--capability", "read", "--expires", "2001-01-01T00:00:00Z"], "future"),
        (&["--name", "x", "--capability", "read", "--session", "mine"], "--session"),
    ] {
        let made = folder.run(&[&create[..], more].concat());
        let message = text(&made.stderr);
        assert_eq!((made.status.code(), made.stdout.len()), (Some(2), 0), "{message}");
        assert!(message.contains(word), "{message}");
    }
    assert!(listed(&folder, "acme").is_empty());
}

#[test]
fn key_created_while_berth_serves_works_at_once_and_a_revocation_holds_within_a_second() {
    let folder = Folder::new();
    let berth = folder.serve();
    let key = folder.key("acme", &[]);
    let sessions = || berth.get("listen", "/api/v1/sessions", Some(&key)).status;
    assert_eq!(sessions(), 200);
    let id = listed(&folder, "acme")[0]["id"].as_str().unwrap().to_owned();
    assert!(folder.run(&["key", "revoke", "--org", "acme", &id]).status.success());
    // Another process revoked the key: the cache of this process holds entries for less than 1 s.
    until(|| (sessions() == 401).then_some(())).expect("the key is refused");
}

#[test]
fn key_revoked_over_the_api_is_refused_at_once() {
    let folder = Folder::new();
    let berth = folder.serve();
    let (mine, other) = (folder.key("acme", &[]), folder.key("acme", &[]));
    let sessions = |key| berth.get("listen", "/api/v1/sessions", Some(key)).status;
    assert_eq!((sessions(&mine), sessions(&other)), (200, 200));
    let keys = berth.get("listen", "/api/v1/api-keys", Some(&mine)).json();
    let its = |key: &&Value| mine.starts_with(key["prefix"].as_str().unwrap());
    let id = keys["data"].as_array().unwrap().iter().find(its).unwrap()["id"].clone();
    let path = format!("/api/v1/api-keys/{}", id.as_str().unwrap());
    assert_eq!(berth.ask("listen", "DELETE", &path, Some(&mine)).status, 204);
    assert_eq!((sessions(&mine), sessions(&other)), (401, 200));
    assert_eq!(berth.get("listen", &path, Some(&other)).status, 404);
}
