//! The local gateway, replaced by a script that records its arguments, environment and signals.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::berth::{Berth, Folder, is_running, shown, signal, until};

/// Records how it was started; then exits, ignores its input or waits for the end of its input.
const SCRIPT: &str = r#"#!/bin/sh
echo "$@" >> "$SCRIPT_FOLDER/arguments"
cut -d ' ' -f 5 "/proc/$$/stat" >> "$SCRIPT_FOLDER/groups"
env > "$SCRIPT_FOLDER/environment"
echo $$ >> "$SCRIPT_FOLDER/lives"
lives=$(wc -l < "$SCRIPT_FOLDER/lives")
if [ "$lives" -le "${SCRIPT_DEATHS:-0}" ]; then exit 7; fi
if [ -n "$SCRIPT_IGNORES_STDIN" ]; then exec sleep 120; fi
cat > /dev/null
echo $$ >> "$SCRIPT_FOLDER/ends"
"#;

/// Starts berth with the script as its gateway.
fn serve(folder: &Folder, variables: &[(&str, &str)]) -> Berth {
    let script = folder.write("berth-gateway", SCRIPT);
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let (script, data) = (script.display().to_string(), folder.path("").display().to_string());
    let own = [("BERTH_GATEWAY_BIN", script.as_str()), ("SCRIPT_FOLDER", data.as_str())];
    folder.serve_with(&[&own[..], variables].concat())
}

/// Waits until a file has `count` process ids and returns them.
fn pids(folder: &Folder, file: &str, count: usize) -> Vec<u32> {
    let read = || {
        let text = folder.read(file);
        let pids: Vec<_> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (pids.len() >= count).then_some(pids)
    };
    until(read).unwrap_or_else(|| panic!("{file}: {:?}", folder.read(file)))
}

#[test]
fn gateway_gets_the_router_address_and_no_settings_of_the_router() {
    let folder = Folder::new();
    let url = "ws://127.0.0.1:9500/ws/chat";
    let filter = folder.write("filter", "debug\n");
    let berth = serve(
        &folder,
        &[
            ("BERTH_WHATSAPP_URL", url),
            ("BERTH_GATEWAY_CAPACITY", "7"),
            ("BERTH_LOG_FILE", &shown(&filter)),
            ("BERTH_GATEWAY_ID_FILE", "nowhere"),
        ],
    );
    pids(&folder, "lives", 1);
    let expected = format!(
        "--id gw-local --listen 127.0.0.1:0 --end-with-stdin --nice 10 --router http://{} --data {} \
         --whatsapp-url {url}\n",
        berth.address("node_listen"),
        folder.path("keys").display(),
    );
    assert_eq!(folder.read("arguments"), expected);
    let environment = folder.read("environment");
    let value = |name: &str| environment.lines().find_map(|l| l.strip_prefix(&format!("{name}=")));
    let token = value("BERTH_NODE_TOKEN").unwrap();
    assert!(token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{token}");
    assert_eq!((value("BERTH_GATEWAY_CAPACITY"), value("BERTH_LOG")), (Some("7"), Some("debug")));
    for removed in ["DATABASE_URL", "WHATSAPP_URL", "LOG_FILE", "GATEWAY_ID_FILE"] {
        assert_eq!(value(&format!("BERTH_{removed}")), None);
    }
}

#[test]
fn gateway_is_restarted_when_it_ends() {
    let folder = Folder::new();
    let berth = serve(&folder, &[("SCRIPT_DEATHS", "2")]);
    let lives = pids(&folder, "lives", 3);
    let died = berth.logged("the local gateway ended unexpectedly");
    assert!(died["status"].as_str().unwrap().contains('7'), "{died}");
    // Also after a kill from outside.
    signal(lives[2], "KILL");
    pids(&folder, "lives", 4);
}

#[test]
fn gateway_ends_before_berth_ends() {
    let folder = Folder::new();
    let mut berth = serve(&folder, &[]);
    let lives = pids(&folder, "lives", 1);
    berth.signal("TERM");
    assert!(berth.ended().success());
    assert_eq!(pids(&folder, "ends", 1), lives);
    assert!(!is_running(lives[0]));
}

#[test]
fn gateway_ends_when_berth_is_killed() {
    let folder = Folder::new();
    let mut berth = serve(&folder, &[]);
    let lives = pids(&folder, "lives", 1);
    berth.signal("KILL");
    berth.ended();
    assert_eq!(pids(&folder, "ends", 1), lives);
}

#[test]
fn ctrl_c_in_the_terminal_does_not_reach_the_gateway() {
    let folder = Folder::new();
    let _berth = serve(&folder, &[]);
    assert_eq!(pids(&folder, "groups", 1), pids(&folder, "lives", 1), "a group of its own");
}

#[test]
fn stopping_berth_is_not_ready_and_a_second_signal_ends_it_at_once() {
    let folder = Folder::new();
    let mut berth = serve(&folder, &[("SCRIPT_IGNORES_STDIN", "yes")]);
    let child = pids(&folder, "lives", 1)[0];
    berth.signal("TERM");
    berth.logged("ending; a second signal ends at once");
    let unready = || Some(berth.get("ops_listen", "/readyz", None)).filter(|a| a.status == 503);
    let ready = until(unready).expect("still ready");
    assert!(ready.body.contains("\"serving\":false"), "{}", ready.body);
    berth.signal("TERM");
    let ended = berth.ended();
    signal(child, "KILL");
    assert_eq!(ended.code(), Some(130));
}
