//! `berth-gateway doctor`, with faults that each test makes on purpose.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{TOKEN, nowhere, program, wait_for_line};

/// Runs `berth-gateway doctor --json`. Returns the exit code and the findings.
fn doctor(data: &Path, router: &str, variables: &[(&str, &str)]) -> (i32, Vec<Value>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth-gateway"));
    command
        .args(["doctor", "--json", "--id", "gw-test", "--router", router, "--data"])
        .arg(data)
        .env_clear()
        .env("BERTH_NODE_TOKEN", TOKEN);
    if let Some(url) = nowhere() {
        command.env("BERTH_WHATSAPP_URL", url);
    }
    let ended = command.envs(variables.iter().copied()).output().unwrap();
    let report: Value = serde_json::from_slice(&ended.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&ended.stderr)));
    (ended.status.code().unwrap(), report["findings"].as_array().unwrap().clone())
}

#[track_caller]
fn assert_found(findings: &[Value], check: &str, level: &str, word: &str) {
    let is = |finding: &&Value| {
        finding["check"] == check
            && finding["level"] == level
            && finding["message"].as_str().unwrap().contains(word)
    };
    assert!(findings.iter().any(|finding| is(&finding)), "{check} {word}: {findings:#?}");
}

/// A listener that answers one request with this status.
fn router_that_answers(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ =
            write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    });
    url
}

#[test]
fn unreachable_router_and_whatsapp_are_faults_and_no_file_is_created() {
    let parent = TempDir::new().unwrap();
    let (code, findings) = doctor(&parent.path().join("data"), "http://127.0.0.1:9", &[]);
    assert_eq!(code, 2);
    assert_found(&findings, "router", "fault", "127.0.0.1:9");
    if cfg!(feature = "sim") {
        assert_found(&findings, "whatsapp", "fault", "does not answer");
    }
    assert_found(&findings, "keys", "ok", "no keys yet");
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn answers_of_the_router_tell_the_fault() {
    let data = TempDir::new().unwrap();
    for (status, level, word) in [
        (400, "ok", "knows node"),
        (422, "ok", "knows node"),
        (401, "fault", "BERTH_NODE_TOKEN"),
        (404, "fault", "nodes' listener"),
    ] {
        let (_, findings) = doctor(data.path(), &router_that_answers(status), &[]);
        assert_found(&findings, "router", level, word);
    }
}

#[test]
fn wrong_token_and_misspelt_variable_are_named() {
    let data = TempDir::new().unwrap();
    let (code, findings) =
        doctor(data.path(), "http://127.0.0.1:9", &[("BERTH_NODE_TOKEN", "short")]);
    assert_eq!(code, 2);
    assert_found(&findings, "settings", "fault", "BERTH_NODE_TOKEN");
    let (_, findings) =
        doctor(data.path(), "http://127.0.0.1:9", &[("BERTH_GATEWAY_CAPACTY", "7")]);
    assert_found(&findings, "variables", "warning", "did you mean BERTH_GATEWAY_CAPACITY?");
}

#[test]
fn damaged_newer_and_open_files_are_found() {
    let data = TempDir::new().unwrap();
    let keys = data.path().join("keys.db");
    fs::write(&keys, "no database".repeat(1000)).unwrap();
    let (code, findings) = doctor(data.path(), "http://127.0.0.1:9", &[]);
    assert_eq!(code, 2);
    assert_found(&findings, "keys", "fault", "not a database");
    fs::remove_file(&keys).unwrap();
    let newer = rusqlite::Connection::open(&keys).unwrap();
    newer.execute_batch("CREATE TABLE sessions (name TEXT); PRAGMA user_version = 9;").unwrap();
    drop(newer);
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (_, findings) = doctor(data.path(), "http://127.0.0.1:9", &[]);
    assert_found(&findings, "keys", "fault", "layout 9");
    assert_found(&findings, "keys", "warning", "mode 644");
    assert_found(&findings, "data_folder", "warning", "mode 755");
}

#[test]
fn small_port_range_for_the_capacity_and_used_listener_are_found() {
    let data = TempDir::new().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = other.local_addr().unwrap().to_string();
    let variables =
        [("BERTH_GATEWAY_CAPACITY", "70000"), ("BERTH_GATEWAY_LISTEN", listen.as_str())];
    let (_, findings) = doctor(data.path(), "http://127.0.0.1:9", &variables);
    assert_found(&findings, "listeners", "fault", &listen);
    if cfg!(target_os = "linux") {
        assert_found(&findings, "local_ports", "warning", "70000");
    }
}

#[test]
fn folder_of_a_running_node_is_no_fault() {
    let data = TempDir::new().unwrap();
    let mut node = program(data.path(), "http://127.0.0.1:9", nowhere()).spawn().unwrap();
    wait_for_line(&mut node, "listening");
    let (_, findings) = doctor(data.path(), "http://127.0.0.1:9", &[]);
    assert_found(&findings, "data_folder", "ok", "a node runs on the folder");
    assert_found(&findings, "keys", "ok", "is not damaged");
    assert_found(&findings, "journal", "ok", "is not damaged");
    node.kill().unwrap();
    node.wait().unwrap();
}

#[test]
fn used_address_of_the_listener_for_operators_is_found() {
    let data = TempDir::new().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = other.local_addr().unwrap().to_string();
    let variables = [("BERTH_GATEWAY_OPS_LISTEN", listen.as_str())];
    let (_, findings) = doctor(data.path(), "http://127.0.0.1:9", &variables);
    assert_found(&findings, "listeners", "fault", &format!("{listen} (the setting ops_listen)"));
}
