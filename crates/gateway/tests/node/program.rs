//! The program: rejected starts, and how it ends.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_berth-gateway");
pub(crate) const TOKEN: &str = "a-token-for-this-test";

/// The command of the program with its environment.
pub(crate) fn program(data: &Path, router: &str, whatsapp: Option<&str>) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .env_clear()
        .env("BERTH_NODE_TOKEN", TOKEN)
        .args(["--id", "gw-test", "--router", router, "--data"])
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(url) = whatsapp {
        command.env("BERTH_WHATSAPP_URL", url);
    }
    command
}

/// The URL of WhatsApp that a build accepts when no connection is needed.
pub(crate) fn nowhere() -> Option<&'static str> {
    cfg!(feature = "sim").then_some("ws://127.0.0.1:9/ws/chat")
}

/// Waits until a line of standard error contains `says`, and returns the line.
pub(crate) fn wait_for_line(child: &mut Child, says: &str) -> String {
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    let found = lines.find_map(|line| line.ok().filter(|line| line.contains(says)));
    found.unwrap_or_else(|| panic!("line not found: {says}"))
}

/// Waits for the end: returns the exit code and both outputs.
fn outcome(mut child: Child) -> (Option<i32>, String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    (child.wait().unwrap().code(), out, err)
}

#[test]
fn second_node_on_a_data_folder_is_rejected() {
    let data = TempDir::new().unwrap();
    let mut first = program(data.path(), "http://127.0.0.1:9", nowhere()).spawn().unwrap();
    wait_for_line(&mut first, "listening");
    let second = program(data.path(), "http://127.0.0.1:9", nowhere()).spawn().unwrap();
    let (code, out, err) = outcome(second);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("another node is running on the data folder"), "{err}");
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn node_exits_when_standard_input_closes() {
    let data = TempDir::new().unwrap();
    let mut node = program(data.path(), "http://127.0.0.1:9", nowhere());
    let mut node = node.arg("--end-with-stdin").spawn().unwrap();
    wait_for_line(&mut node, "listening");
    drop(node.stdin.take());
    let (code, out, err) = outcome(node);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    assert!(err.contains("standard input closed") && err.contains("stopped"), "{err}");
}

/// Returns the nice value of every thread of a process (`proc_pid_stat(5)`, field 19).
fn nice_values(process: u32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let stat = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("stat"));
    let nice = |stat: String| {
        // Fields are counted after the name, which may contain any character.
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().parse().unwrap()
    };
    threads.map(|thread| nice(stat(thread.unwrap()).unwrap())).collect()
}

#[test]
fn nice_flag_sets_the_nice_value_of_every_thread() {
    let own = nice_values(std::process::id())[0];
    for reports in [0, 7] {
        let data = TempDir::new().unwrap();
        let mut node = program(data.path(), "http://127.0.0.1:9", nowhere());
        let mut node = node.args(["--nice", &reports.to_string()]).spawn().unwrap();
        wait_for_line(&mut node, "listening");
        let found = nice_values(node.id());
        assert!(
            found.len() > 1 && found.iter().all(|nice| *nice == (own + reports).min(19)),
            "{found:?}"
        );
        node.kill().unwrap();
        node.wait().unwrap();
    }
    let data = TempDir::new().unwrap();
    let mut eager = program(data.path(), "http://127.0.0.1:9", nowhere());
    let (code, _, err) = outcome(eager.arg("--nice=-5").spawn().unwrap());
    assert!(code == Some(2) && err.contains("--nice"), "{err}");
}

#[test]
fn missing_token_or_wrong_whatsapp_address_prevents_the_start() {
    let data = TempDir::new().unwrap();
    let mut mute = program(data.path(), "http://127.0.0.1:9", nowhere());
    let (code, _, err) = outcome(mute.env_remove("BERTH_NODE_TOKEN").spawn().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("BERTH_NODE_TOKEN"), "{err}");

    // Only loopback is valid with feature `sim`, and no address without the feature.
    let elsewhere =
        if cfg!(feature = "sim") { "ws://192.0.2.1/ws/chat" } else { "ws://127.0.0.1:9/ws/chat" };
    let lost = program(data.path(), "http://127.0.0.1:9", Some(elsewhere)).spawn().unwrap();
    let (code, _, err) = outcome(lost);
    assert_eq!(code, Some(1));
    assert!(err.contains("BERTH_WHATSAPP_URL"), "{err}");
}

#[test]
fn simulator_build_is_marked_in_the_version() {
    let output = Command::new(PROGRAM).arg("--version").output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.contains("+sim"), cfg!(feature = "sim"), "{output}");
}

#[test]
fn settings_are_read_from_files_and_unknown_variables_are_logged() {
    let folder = TempDir::new().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    let data = folder.path().join("keys");
    let mut node = program(&data, "http://127.0.0.1:9", nowhere());
    node.env_remove("BERTH_NODE_TOKEN").env("BERTH_NODE_TOKEN_FILE", &token);
    node.env("BERTH_LOG", "info\n").env("BERTH_GATEWAY_CAPACITIES", "canary");
    node.env("BERTH_DATABASE_URL", "canary").env("BERTH_GATEWAY_CAPACITY", "");
    let mut node = node.spawn().unwrap();
    let mut lines = BufReader::new(node.stderr.take().unwrap()).lines().map_while(Result::ok);
    let warned = lines.find(|line| line.contains("unknown environment variables")).unwrap();
    assert!(warned.contains("BERTH_GATEWAY_CAPACITIES"), "{warned}");
    assert!(!warned.contains("canary") && !warned.contains("BERTH_DATABASE_URL"), "{warned}");
    assert!(lines.any(|line| line.contains("listening")));
    node.kill().unwrap();
    node.wait().unwrap();

    for (variables, word) in [
        ([("BERTH_GATEWAY_DATA", "a\nb"), ("BERTH_LOG", "")], "--data"),
        ([("BERTH_LOG", "warn"), ("BERTH_LOG_FILE", "canary")], "BERTH_LOG and BERTH_LOG_FILE"),
        ([("BERTH_LOG", ""), ("BERTH_LOG_FILE", "no-such-file")], "no-such-file"),
    ] {
        let mut refused = Command::new(PROGRAM);
        refused.env_clear().args(["--router", "http://127.0.0.1:9"]).envs(variables);
        refused.current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (code, _, err) = outcome(refused.spawn().unwrap());
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(word) && !err.contains("canary"), "{err}");
    }
}
