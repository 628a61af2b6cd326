//! Nodes with derived tokens, and traces of requests.

use crate::berth::{Folder, text};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn node_token(folder: &Folder, id: &str) -> std::process::Output {
    let mut command = folder.command(&["node-token", id]);
    command.env("BERTH_FLEET_SECRET", SECRET).env("BERTH_FLEET_NODES", "gw-*").output().unwrap()
}

#[test]
fn node_registers_with_its_derived_token_only() {
    let folder = Folder::new();
    let printed = node_token(&folder, "gw-1");
    let token = text(&printed.stdout).trim_end().to_owned();
    assert_eq!((printed.status.code(), token.len()), (Some(0), 64));
    let file = folder.write("fleet.secret", &format!("{SECRET}\n"));
    let berth = folder.serve_with(&[
        ("BERTH_FLEET_SECRET_FILE", file.to_str().unwrap()),
        ("BERTH_FLEET_NODES", "gw-*"),
        ("BERTH_NODE_TOKENS", "gw-9=a-token-of-its-own"),
    ]);
    let register = |id: &str, token: &str| {
        let body = r#"{"incarnation":"x","address":"http://127.0.0.1:9","version":"t","features":[],"capacity":1}"#;
        let headers =
            format!("authorization: Bearer {token}\r\ncontent-type: application/json\r\n");
        let request = format!("POST /node/v1/gateways/{id}:enlist");
        berth.exchange("node_listen", &request, &headers, body).status
    };
    assert_eq!(register("gw-1", &token), 200);
    assert_eq!(register("gw-9", "a-token-of-its-own"), 200);
    let of = |id: &str| text(&node_token(&folder, id).stdout).trim_end().to_owned();
    for (id, token) in [
        ("gw-2", token.clone()),
        ("gw-9", of("gw-9")),
        ("other", token.clone()),
        ("gw-1", SECRET.to_owned()),
    ] {
        assert_eq!(register(id, &token), 401, "{id}");
    }
}

#[test]
fn token_of_a_foreign_id_is_not_printed() {
    let folder = Folder::new();
    let refused = node_token(&folder, "other");
    assert_eq!((refused.status.code(), text(&refused.stdout).as_str()), (Some(2), ""));
    let without = folder.run(&["node-token", "gw-1"]);
    assert_eq!(without.status.code(), Some(2));
    assert!(text(&without.stderr).contains("BERTH_FLEET_SECRET_FILE"), "{}", text(&without.stderr));
}

#[test]
fn trace_of_a_request_is_logged() {
    let folder = Folder::new();
    let berth = folder.serve();
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let answer = berth.exchange("listen", "GET /api/v1/sessions", trace, "");
    assert_eq!(answer.status, 401);
    assert_eq!(berth.logged("request")["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[test]
fn completions_and_man_pages_are_made() {
    let folder = Folder::new();
    let script = folder.run(&["generate", "completions", "bash"]);
    assert!(text(&script.stdout).contains("doctor"), "{}", text(&script.stderr));
    let made = folder.run(&["generate", "man", "--to", "."]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    for page in ["berth.1", "berth-doctor.1", "berth-key-create.1"] {
        assert!(folder.names().contains(&page.to_owned()), "{:?}", folder.names());
    }
}
