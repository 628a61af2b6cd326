//! `berth serve`: its listeners, failures at start, and the stop.

use crate::berth::{Folder, text};

#[test]
fn each_listener_answers_its_own_paths_only() {
    let folder = Folder::new();
    let berth = folder.serve();
    let status = |listener, path| berth.get(listener, path, None).status;
    for listener in ["listen", "ops_listen"] {
        assert_eq!((status(listener, "/livez"), status(listener, "/readyz")), (200, 200));
    }
    assert_eq!(status("listen", "/api/v1/sessions"), 401);
    assert_eq!(status("ops_listen", "/api/v1/sessions"), 404);
    assert_eq!(status("node_listen", "/api/v1/sessions"), 404);
    let enlist = "/node/v1/gateways/gw-local:enlist";
    assert_eq!(berth.ask("node_listen", "POST", enlist, None).status, 401);
    assert_eq!(berth.ask("listen", "POST", enlist, None).status, 404);
}

#[test]
fn missing_gateway_program_is_logged_and_berth_serves() {
    let folder = Folder::new();
    let berth = folder.serve();
    let message = berth.logged("there is no gateway program");
    assert_eq!(message["level"], "ERROR");
    let key = folder.key("acme", &[]);
    let made = berth.ask("listen", "POST", "/api/v1/sessions", Some(&key));
    assert_eq!(made.status, 201);
    let path = format!("/api/v1/sessions/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(berth.get("listen", &path, Some(&key)).status, 200);
    assert_eq!(berth.ask("listen", "DELETE", &path, Some(&key)).status, 204);
}

#[test]
fn configured_rates_apply() {
    let folder = Folder::new();
    let berth = folder.serve_with(&[("BERTH_CREDENTIAL_RATE", "3"), ("BERTH_PAIRING_RATE", "1")]);
    let (one, other) = (folder.key("acme", &[]), folder.key("acme", &[]));
    let ask = |key, method, path: &str| berth.ask("listen", method, path, Some(key));
    let made = ask(&one, "POST", "/api/v1/sessions").json();
    let path = format!("/api/v1/sessions/{}", made["id"].as_str().unwrap());
    assert_eq!(
        ask(&one, "GET", &format!("{path}/qr?wait=0")).status,
        404,
        "the pairing attempt has begun"
    );
    assert_eq!(ask(&one, "POST", &format!("{path}:stop")).status, 200);
    assert_eq!(ask(&one, "GET", &path).status, 429);
    let pairing = ask(&other, "GET", &format!("{path}/qr?wait=0"));
    assert_eq!(pairing.status, 429, "{}", pairing.body);
    assert_eq!(ask(&other, "GET", &path).status, 200);
}

#[test]
fn metrics_name_operations_and_no_organizations() {
    let folder = Folder::new();
    let berth = folder.serve();
    let key = folder.key("canary-org", &[]);
    for _ in 0..3 {
        berth.ask("listen", "POST", "/api/v1/sessions", Some(&key));
    }
    berth.get("listen", "/api/v1/sessions/sess_canary", Some(&key));
    berth.get("listen", "/canary", None);
    let shown = berth.get("ops_listen", "/metrics", None);
    assert_eq!(shown.status, 200);
    for line in [
        "berth_pairings_total{outcome=\"expired\"} 0",
        "berth_session_ends_total{reason=\"banned\"} 0",
        "# TYPE berth_store_wait_seconds histogram",
        "berth_http_requests_total{operation=\"session_create\",status=\"201\"} 3",
        "berth_http_requests_total{operation=\"session_view\",status=\"404\"} 1",
        "berth_http_requests_total{operation=\"\",status=\"404\"} 1",
        "berth_http_request_duration_seconds_count{operation=\"session_create\"} 3",
        "# TYPE berth_http_requests_total counter",
        "# TYPE process_resident_memory_bytes gauge",
    ] {
        assert!(shown.body.lines().any(|shown| shown == line), "{line}\n{}", shown.body);
    }
    assert!(shown.body.contains("berth_build_info{version=\""), "{}", shown.body);
    let value = |name: &str| -> f64 {
        let line = shown.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {}", shown.body)).parse().unwrap()
    };
    // The writer stored at least the key's sessions.
    assert!(value("berth_store_wait_seconds_count{resource=\"writer\"}") >= 3.0);
    let (free, size) = (value("berth_disk_free_bytes"), value("berth_disk_size_bytes"));
    assert!(free > 0.0 && free <= size, "{free} of {size}");
    assert!(!shown.body.contains("canary"), "{}", shown.body);
    assert_eq!(berth.get("listen", "/metrics", None).status, 404);
}

#[test]
fn acknowledged_session_survives_a_kill() {
    let folder = Folder::new();
    let key = folder.key("acme", &[]);
    let berth = folder.serve();
    let made = berth.ask("listen", "POST", "/api/v1/sessions", Some(&key)).json();
    drop(berth); // kill -9
    let berth = folder.serve();
    let path = format!("/api/v1/sessions/{}", made["id"].as_str().unwrap());
    assert_eq!(berth.get("listen", &path, Some(&key)).json(), made);
}

#[test]
fn unreachable_key_set_is_shown_and_api_keys_work() {
    let folder = Folder::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", closed.local_addr().unwrap());
    drop(closed);
    let berth = folder.serve_with(&[("BERTH_JWKS", &url)]);
    let ready = berth.get("ops_listen", "/readyz", None);
    assert_eq!(ready.status, 200, "{}", ready.body);
    assert!(ready.body.contains("\"key_set\":false"), "{}", ready.body);
    berth.logged("the key set was not refreshed");
    assert_eq!(berth.get("ops_listen", "/livez", None).status, 200);
    let key = folder.key("acme", &[]);
    assert_eq!(berth.get("listen", "/api/v1/sessions", Some(&key)).status, 200);
}

#[test]
fn taken_port_is_named_with_its_setting() {
    let folder = Folder::new();
    let berth = folder.serve();
    for (variable, name) in [
        ("BERTH_LISTEN", "listen"),
        ("BERTH_NODE_LISTEN", "node_listen"),
        ("BERTH_OPS_LISTEN", "ops_listen"),
    ] {
        let other = Folder::new();
        let mut command = other.command(&["serve"]);
        for free in ["BERTH_LISTEN", "BERTH_NODE_LISTEN", "BERTH_OPS_LISTEN"] {
            command.env(free, "127.0.0.1:0");
        }
        let taken = berth.address(name);
        let ended = command.env(variable, &taken).env("BERTH_LOG", "off").output().unwrap();
        let message = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(
            message.contains(&taken) && message.contains(&format!("setting {name})")),
            "{message}"
        );
    }
}

#[test]
fn signal_stops_berth_cleanly() {
    for name in ["TERM", "INT"] {
        let folder = Folder::new();
        let mut berth = folder.serve();
        berth.signal(name);
        assert!(berth.ended().success());
        berth.logged("berth has ended");
    }
}

#[test]
fn two_routers_start_on_one_new_database() {
    let folder = Folder::new();
    let (one, other) = std::thread::scope(|threads| {
        let one = threads.spawn(|| folder.serve());
        let other = threads.spawn(|| folder.serve());
        (one.join().unwrap(), other.join().unwrap())
    });
    let key = folder.key("acme", &[]);
    let made = one.ask("listen", "POST", "/api/v1/sessions", Some(&key)).json();
    let path = format!("/api/v1/sessions/{}", made["id"].as_str().unwrap());
    assert_eq!(other.get("listen", &path, Some(&key)).json()["id"], made["id"]);
}
