//! `berth-gateway health` against a running program.

use std::{
    net::{SocketAddr, TcpListener},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::program::{nowhere, program, wait_for_line};

fn health(flags: &[&str], listener: Option<SocketAddr>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth-gateway"));
    command.arg("health").args(flags).env_clear();
    if let Some(listener) = listener {
        command.env("BERTH_GATEWAY_OPS_LISTEN", listener.to_string());
    }
    command.output().unwrap()
}

#[track_caller]
fn assert_ends(ended: &Output, code: i32, says: &str) {
    let err = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(code), "{err}");
    assert!(err.contains(says), "{err}");
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn health_tells_liveness_and_readiness_apart() {
    let (data, ops) = (TempDir::new().unwrap(), free_address());
    let mut node = program(data.path(), "http://127.0.0.1:9", nowhere());
    let listen = format!("0.0.0.0:{}", ops.port());
    let mut node = node.env("BERTH_GATEWAY_OPS_LISTEN", &listen).spawn().unwrap();
    assert!(wait_for_line(&mut node, "listening").contains(&listen));
    assert_ends(&health(&[], Some(ops)), 0, "");
    let everywhere = listen.parse().unwrap();
    assert_ends(&health(&[], Some(everywhere)), 0, "");
    let not_ready = health(&["--ready"], Some(ops));
    assert_ends(&not_ready, 1, "/readyz answers 503");
    assert_ends(&not_ready, 1, r#""router":false"#);
    node.kill().unwrap();
    node.wait().unwrap();
    assert_ends(&health(&[], Some(ops)), 1, "does not answer");
}

#[test]
fn health_needs_the_address_of_the_listener() {
    assert_ends(&health(&[], None), 1, "BERTH_GATEWAY_OPS_LISTEN is not set");
}

#[test]
fn used_address_of_the_listener_prevents_the_start() {
    let (data, other) = (TempDir::new().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let used = other.local_addr().unwrap().to_string();
    let mut node = program(data.path(), "http://127.0.0.1:9", nowhere());
    let ended = node.args(["--ops-listen", &used]).output().unwrap();
    assert_ends(&ended, 1, &format!("cannot listen on {used} (--ops-listen)"));
}
