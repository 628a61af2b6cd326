//! The gateway beside berth, played by a script that writes down what happens to it.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::berth::{Berth, Folder, is_running, shown, signal, until};

/// Writes down how it was started, then does as the test says.
const SCRIPT: &str = r#"#!/bin/sh
echo "$@" >> "$SCRIPT_FOLDER/arguments"
cut -d ' ' -f 5 "/proc/$$/stat" >> "$SCRIPT_FOLDER/groups"
env > "$SCRIPT_FOLDER/environment"
echo $$ >> "$SCRIPT_FOLDER/lives"
lives=$(wc -l < "$SCRIPT_FOLDER/lives")
if [ "$lives" -le "${SCRIPT_DEATHS:-0}" ]; then exit 7; fi
if [ -n "$SCRIPT_DEAF" ]; then exec sleep 120; fi
cat > /dev/null
echo $$ >> "$SCRIPT_FOLDER/ends"
"#;

/// A berth with the script for its gateway.
fn serve(folder: &Folder, variables: &[(&str, &str)]) -> Berth {
    let script = folder.write("berth-gateway", SCRIPT);
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let (script, place) = (script.display().to_string(), folder.path("").display().to_string());
    let ours = [("BERTH_GATEWAY_BIN", script.as_str()), ("SCRIPT_FOLDER", place.as_str())];
    folder.serve_with(&[&ours[..], variables].concat())
}

/// The process ids written to a file, once there are so many.
fn pids(folder: &Folder, file: &str, count: usize) -> Vec<u32> {
    let look = || {
        let text = folder.read(file);
        let pids: Vec<_> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (pids.len() >= count).then_some(pids)
    };
    until(look).unwrap_or_else(|| panic!("{file}: {:?}", folder.read(file)))
}

#[test]
fn it_is_told_where_to_find_its_router_and_nothing_it_has_no_business_with() {
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
    for kept in ["DATABASE_URL", "WHATSAPP_URL", "LOG_FILE", "GATEWAY_ID_FILE"] {
        assert_eq!(value(&format!("BERTH_{kept}")), None);
    }
}

#[test]
fn it_is_started_again_when_it_dies() {
    let folder = Folder::new();
    let berth = serve(&folder, &[("SCRIPT_DEATHS", "2")]);
    let lives = pids(&folder, "lives", 3);
    let died = berth.logged("the local gateway died");
    assert!(died["status"].as_str().unwrap().contains('7'), "{died}");
    // Killed from outside, too.
    signal(lives[2], "KILL");
    pids(&folder, "lives", 4);
}

#[test]
fn it_is_ended_before_berth_ends() {
    let folder = Folder::new();
    let mut berth = serve(&folder, &[]);
    let lives = pids(&folder, "lives", 1);
    berth.signal("TERM");
    assert!(berth.ended().success());
    assert_eq!(pids(&folder, "ends", 1), lives);
    assert!(!is_running(lives[0]));
}

#[test]
fn it_ends_when_berth_is_killed() {
    let folder = Folder::new();
    let mut berth = serve(&folder, &[]);
    let lives = pids(&folder, "lives", 1);
    berth.signal("KILL");
    berth.ended();
    assert_eq!(pids(&folder, "ends", 1), lives);
}

#[test]
fn a_ctrl_c_in_the_terminal_is_not_for_it() {
    let folder = Folder::new();
    let _berth = serve(&folder, &[]);
    assert_eq!(pids(&folder, "groups", 1), pids(&folder, "lives", 1), "a group of its own");
}

#[test]
fn while_it_ends_berth_says_it_is_not_ready_and_a_second_signal_does_not_wait() {
    let folder = Folder::new();
    let mut berth = serve(&folder, &[("SCRIPT_DEAF", "yes")]);
    let deaf = pids(&folder, "lives", 1)[0];
    berth.signal("TERM");
    berth.logged("ending; a second signal ends at once");
    let unready = || Some(berth.get("ops_listen", "/readyz", None)).filter(|a| a.status == 503);
    let ready = until(unready).expect("still ready");
    assert!(ready.body.contains("\"serving\":false"), "{}", ready.body);
    berth.signal("TERM");
    let ended = berth.ended();
    signal(deaf, "KILL");
    assert_eq!(ended.code(), Some(130));
}
