//! `berth health` and `berth doctor`, with faults that each test makes on purpose.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::Command,
    thread,
};

use serde_json::Value;

use crate::berth::{Folder, text};

/// Runs `berth doctor --json` with listeners on free ports. Returns the exit code and the findings.
fn doctor(folder: &Folder, variables: &[(&str, &str)]) -> (i32, Vec<Value>) {
    let ended = doctor_command(folder).envs(variables.iter().copied()).output().unwrap();
    let report: Value = serde_json::from_slice(&ended.stdout)
        .unwrap_or_else(|_| panic!("{} {}", text(&ended.stdout), text(&ended.stderr)));
    (ended.status.code().unwrap(), report["findings"].as_array().unwrap().clone())
}

fn doctor_command(folder: &Folder) -> Command {
    let mut command = folder.command(&["doctor", "--json"]);
    for listener in ["BERTH_LISTEN", "BERTH_NODE_LISTEN", "BERTH_OPS_LISTEN"] {
        command.env(listener, "127.0.0.1:0");
    }
    command
}

/// Returns the messages of a check with this level.
fn found<'a>(findings: &'a [Value], check: &str, level: &str) -> Vec<&'a str> {
    let is = |finding: &&Value| finding["check"] == check && finding["level"] == level;
    findings.iter().filter(is).map(|finding| finding["message"].as_str().unwrap()).collect()
}

#[track_caller]
fn assert_found(findings: &[Value], check: &str, level: &str, word: &str) {
    let messages = found(findings, check, level);
    assert!(messages.iter().any(|message| message.contains(word)), "{check} {word}: {findings:#?}");
}

fn program(folder: &Folder) {
    folder.write("no-gateway", "");
}

#[test]
fn health_asks_the_operator_listener() {
    let folder = Folder::new();
    let berth = folder.serve();
    let address = berth.address("ops_listen");
    for arguments in [&["health"][..], &["health", "--ready"]] {
        let ended = folder.command(arguments).env("BERTH_OPS_LISTEN", &address).output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    }
    drop(berth);
    let ended = folder.command(&["health"]).env("BERTH_OPS_LISTEN", &address).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains(&address), "{}", text(&ended.stderr));
}

#[test]
fn new_installation_has_warnings_and_no_fault_and_stays_as_it_is() {
    let folder = Folder::new();
    program(&folder);
    let (code, findings) = doctor(&folder, &[]);
    assert_eq!(code, 1, "{findings:#?}");
    assert_found(&findings, "migrations", "warning", "does not exist");
    assert_eq!(folder.names(), ["no-gateway"]);
}

#[test]
fn working_installation_is_well_and_stays_as_it_is() {
    let folder = Folder::new();
    program(&folder);
    folder.key("acme", &[]);
    let before = (folder.names(), fs::read(folder.path("berth.db")).unwrap());
    let (code, findings) = doctor(&folder, &[]);
    assert!(code < 2, "{findings:#?}");
    assert_found(&findings, "migrations", "ok", "applied");
    assert_found(&findings, "database", "ok", "SQLite");
    assert_found(&findings, "listeners", "ok", "free");
    assert_eq!((folder.names(), fs::read(folder.path("berth.db")).unwrap()), before);
}

#[test]
fn misspelt_variable_is_named_with_the_nearest_one() {
    let folder = Folder::new();
    let (_, findings) = doctor(&folder, &[("BERTH_LISTENN", "x"), ("BERTH_LOG", "info\n")]);
    assert_found(&findings, "variables", "warning", "did you mean BERTH_LISTEN?");
    assert_found(&findings, "variables", "warning", "BERTH_LOG has white space");
}

#[test]
fn wrong_setting_is_a_fault() {
    let folder = Folder::new();
    let (code, findings) = doctor(&folder, &[("BERTH_KEEP_ALIVE", "1s")]);
    assert_eq!(code, 2);
    assert_found(&findings, "settings", "fault", "keep_alive");
}

#[test]
fn used_port_and_missing_gateway_program_are_faults() {
    let folder = Folder::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let (code, findings) = doctor(&folder, &[("BERTH_LISTEN", &address)]);
    assert_eq!(code, 2);
    assert_found(&findings, "listeners", "fault", &address);
    assert_found(&findings, "local_gateway", "fault", "BERTH_GATEWAY_BIN");
}

#[test]
fn addresses_of_a_running_berth_are_no_fault() {
    let folder = Folder::new();
    program(&folder);
    let berth = folder.serve();
    let addresses = ["listen", "node_listen", "ops_listen"].map(|name| berth.address(name));
    let variables = [
        ("BERTH_LISTEN", addresses[0].as_str()),
        ("BERTH_NODE_LISTEN", &addresses[1]),
        ("BERTH_OPS_LISTEN", &addresses[2]),
        ("BERTH_PUBLIC_URL", &format!("http://{}", addresses[0])),
    ];
    let (code, findings) = doctor(&folder, &variables);
    assert!(code < 2, "{findings:#?}");
    assert_eq!(found(&findings, "listeners", "ok").len(), 3);
    assert_found(&findings, "public_url", "ok", "leads to berth");
    for header in ["Sec-Fetch-Site", "Origin"] {
        assert_found(&findings, "public_url", "ok", &format!("{header} reaches berth"));
    }
}

#[test]
fn proxy_that_removes_a_header_and_another_public_url_are_faults() {
    let folder = Folder::new();
    program(&folder);
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let berth = folder.serve_with(&[("BERTH_PUBLIC_URL", &url)]);
    let address = berth.address("listen");
    let direct = format!("http://{address}");
    thread::spawn(move || {
        for client in proxy.incoming() {
            forward_without(client.unwrap(), &address, "sec-fetch-site");
        }
    });
    let (code, findings) = doctor(&folder, &[("BERTH_PUBLIC_URL", &url)]);
    assert_eq!(code, 2, "{findings:#?}");
    assert_found(&findings, "public_url", "fault", "Sec-Fetch-Site does not reach berth");
    assert_found(&findings, "public_url", "ok", "Origin reaches berth");
    let (_, findings) = doctor(&folder, &[("BERTH_PUBLIC_URL", &direct)]);
    assert_found(&findings, "public_url", "fault", &format!("has the public URL {url}"));
}

/// Forwards one request without the lines of a header, and the response.
fn forward_without(mut client: TcpStream, address: &str, header: &str) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let lower = line.to_ascii_lowercase();
        if let Some(number) = lower.strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
        if line == "\r\n" {
            head.push_str("connection: close\r\n\r\n");
            break;
        }
        if !lower.starts_with(header) && !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut upstream = TcpStream::connect(address).unwrap();
    upstream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    io::copy(&mut upstream, &mut client).unwrap();
}

#[test]
fn damaged_newer_and_unreachable_databases_are_faults() {
    let folder = Folder::new();
    folder.write("berth.db", &"no database".repeat(1000));
    let (code, findings) = doctor(&folder, &[]);
    assert_eq!((code, found(&findings, "database", "fault").len()), (2, 1), "{findings:#?}");
    let (code, findings) = doctor(&folder, &[("BERTH_DATABASE_URL", "postgres://u@127.0.0.1:9/x")]);
    assert_eq!(code, 2);
    assert_found(&findings, "database", "fault", "unavailable");
    let (_, findings) = doctor(&folder, &[("BERTH_DATABASE_URL", "mysql://canary")]);
    assert_found(&findings, "settings", "ok", "");
    assert_found(&findings, "database", "fault", "database URL");
}

#[test]
fn open_folder_and_key_file_are_warnings() {
    let folder = Folder::new();
    program(&folder);
    let berth = folder.serve();
    drop(berth);
    let chmod = |name: &str, mode| {
        fs::set_permissions(folder.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(".", 0o755);
    chmod("seal.key", 0o644);
    let (_, findings) = doctor(&folder, &[]);
    assert_found(&findings, "database_folder", "warning", "mode 755");
    assert_found(&findings, "seal_keys", "warning", "mode 644");
}

#[test]
fn unreachable_key_set_and_foreign_issuer_are_faults() {
    let folder = Folder::new();
    program(&folder);
    let variables = [
        ("BERTH_JWKS", "http://127.0.0.1:9/jwks"),
        ("BERTH_OIDC_ISSUER", "http://127.0.0.1:9"),
        ("BERTH_OIDC_CLIENT_ID", "berth"),
        ("BERTH_PUBLIC_URL", "http://127.0.0.1:9"),
    ];
    let (code, findings) = doctor(&folder, &variables);
    assert_eq!(code, 2, "{findings:#?}");
    assert_found(&findings, "key_set", "fault", "cannot be loaded");
    assert_found(&findings, "oidc", "fault", "browsers cannot log in");
    assert_found(&findings, "public_url", "warning", "127.0.0.1:9");
}

#[test]
fn node_that_never_registered_is_a_warning() {
    let folder = Folder::new();
    folder.key("acme", &[]);
    let (_, findings) = doctor(&folder, &[("BERTH_NODE_TOKENS", "gw-7=0123456789abcdef")]);
    assert_found(&findings, "nodes", "warning", "gw-7 has a token and has never registered");
}

#[test]
fn text_report_has_one_line_for_each_finding() {
    let folder = Folder::new();
    program(&folder);
    let ended = folder.command(&["doctor", "--listen", "127.0.0.1:0"]).output().unwrap();
    let lines = text(&ended.stdout);
    assert!(lines.lines().last().unwrap().contains("checks: "), "{lines}");
    assert!(lines.lines().any(|line| line.starts_with("ok       settings: ")), "{lines}");
}
