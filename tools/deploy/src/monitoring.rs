//! Checks of the Grafana board and the alert rules: every metric exists on a running stack, every
//! expression is valid, and the rules pass their own tests.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    checks::Checks,
    client::Api,
    event_stream::EventStream,
    folder::{Folder, random_hex},
    issuer::Issuer,
    ports,
    postgres::Cluster,
    process::Process,
    programs::Programs,
    stack::Stack,
    wait,
    workspace::{self, Workspace},
};

use crate::life::Life;

const BOARD: &str = "deploy/grafana/berth.json";
const RULES: &str = "deploy/prometheus/berth.rules.yml";
/// Words with which the names of the metrics of berth begin.
const PREFIXES: [&str; 2] = ["berth_", "process_"];
/// Time until every metric is set once.
const PATIENCE: Duration = Duration::from_secs(40);
/// Figures of a router and a node with one session, which works.
const FIGURES: [&str; 16] = [
    "berth_ready 1",
    "berth_sessions{status=\"working\"} 1",
    "berth_sessions{status=\"failed\"} 0",
    "berth_sessions_wanted{desired=\"running\"} 1",
    "berth_sessions_wanted{desired=\"stopped\"} 0",
    "berth_pairings_total{outcome=\"paired\"} 1",
    "berth_pairings_total{outcome=\"expired\"} 0",
    "berth_session_ends_total{reason=\"logged_out_by_phone\"} 0",
    "berth_gateway_capacity{gateway=\"gw-1\"} 500",
    "berth_gateway_sessions{gateway=\"gw-1\"} 1",
    "berth_retirements 0",
    "berth_node_capacity 500",
    "berth_node_registered 1",
    "berth_node_sessions{status=\"working\"} 1",
    "berth_node_sessions{status=\"failed\"} 0",
    "berth_reconnects_total{reason=\"closed\"} 0",
];
/// Figures after the device was removed on the phone.
const UNLINKED_FIGURES: [&str; 5] = [
    "berth_sessions{status=\"failed\"} 1",
    "berth_pairings_total{outcome=\"paired\"} 1",
    "berth_session_ends_total{reason=\"logged_out_by_phone\"} 1",
    "berth_session_ends_total{reason=\"banned\"} 0",
    "berth_node_sessions{status=\"failed\"} 1",
];
/// A key for the secrets of webhooks, which PostgreSQL has no default for.
const SEAL_KEY: &str = "a=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PROMTOOL: &str = "promtool of the Debian package prometheus checks rules";

/// Checks board and rules.
pub(crate) fn check(workspace: &Workspace, programs: &Programs, checks: &mut Checks) {
    println!("\nboard and rules");
    checks.check("monitoring: the alert rules are valid and pass their tests", || {
        let folder = workspace.root.join("deploy/prometheus");
        promtool(&folder, &["check", "config", "prometheus.yml"])?;
        promtool(&folder, &["check", "rules", "berth.rules.yml"])?;
        promtool(&folder, &["test", "rules", "berth.test.yml"])
    });
    checks.check("monitoring: every alert has a test that fires and one that does not", || {
        let rules = fs::read_to_string(workspace.root.join(RULES))?;
        let tests = fs::read_to_string(workspace.root.join("deploy/prometheus/berth.test.yml"))?;
        for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
            let quiet = format!("alertname: {name}, exp_alerts: [] }}");
            let fires = format!("alertname: {name}\n");
            ensure!(tests.contains(&quiet) && tests.contains(&fires), "{name} has no test");
        }
        Ok(())
    });
    checks.check("monitoring: the runbook has an entry for every alert", || {
        let rules = fs::read_to_string(workspace.root.join(RULES))?;
        let runbook = fs::read_to_string(workspace.root.join("docs/runbook.md"))?;
        let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
        for name in alerts {
            ensure!(runbook.contains(&format!("`{name}`")), "the runbook does not name {name}");
        }
        Ok(())
    });
    checks.check("monitoring: every expression of the board is valid", || {
        let expressions = expressions(workspace)?;
        ensure!(expressions.len() > 20, "the board has {} expressions", expressions.len());
        let rules: Vec<_> = expressions
            .iter()
            .map(|expression| json!({ "record": "board:check", "expr": filled(expression) }))
            .enumerate()
            .map(|(number, mut rule)| {
                rule["labels"] = json!({ "number": number.to_string() });
                rule
            })
            .collect();
        let folder = Folder::new("board")?;
        // JSON is YAML.
        let file = json!({ "groups": [{ "name": "board", "rules": rules }] });
        fs::write(folder.path().join("board.yml"), file.to_string())?;
        promtool(folder.path(), &["check", "rules", "board.yml"])
    });
    checks.check("monitoring: a running stack exposes every metric of board and rules", || {
        exposes(workspace, programs)
    });
}

fn promtool(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut promtool = Command::new("promtool");
    workspace::answer(promtool.args(arguments).current_dir(folder)).context(PROMTOOL).map(drop)
}

/// Returns the expressions of the board.
fn expressions(workspace: &Workspace) -> Result<Vec<String>> {
    let board: Value = serde_json::from_str(&fs::read_to_string(workspace.root.join(BOARD))?)?;
    let panels = board["panels"].as_array().context("the board has panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| Ok(target["expr"].as_str().context("an expression")?.to_owned())).collect()
}

/// Replaces the variables of the board by values.
fn filled(expression: &str) -> String {
    expression
        .replace("$job", "berth")
        .replace("$nodes", "berth-gateway")
        .replace("$waiting", "session_qr")
}

/// Returns the names of metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !(letter == '_' || letter.is_ascii_alphanumeric()));
    words.filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix))).collect()
}

/// A node of its own with a listener for operators, which the local node of a router does not have.
struct Node {
    // Dropped in this order: the folder is removed after the program has ended.
    _process: Process,
    _data: Folder,
    operator: Api,
}

impl Node {
    /// Starts a node of the router of a stack, on the stack's simulated WhatsApp.
    fn start(programs: &Programs, stack: &Stack, token: &str, logs: &Path) -> Result<Self> {
        let (data, port) = (Folder::new("deploy-node")?, ports::free()?);
        let router = stack.address("BERTH_NODE_LISTEN")?;
        let whatsapp = stack.address("BERTH_WHATSAPP_URL")?;
        let mut command = Command::new(programs.program("berth-gateway"));
        command
            .args(["--id", "gw-1", "--router", &format!("http://{router}")])
            .args(["--ops-listen", &format!("127.0.0.1:{port}")])
            .arg("--data")
            .arg(data.path())
            .env("BERTH_NODE_TOKEN", token)
            .env("BERTH_WHATSAPP_URL", format!("ws://{whatsapp}/ws/chat"));
        let log = logs.join("deploy-node.log");
        fs::write(&log, "")?;
        let mut process = Process::spawn("berth-gateway", &mut command, Some(&log))?;
        let operator = Api::new(&format!("http://127.0.0.1:{port}"), None);
        wait::until_true("the node is ready", PATIENCE, || {
            process.must_run()?;
            Ok(operator.get("/readyz")?.status == 200)
        })?;
        Ok(Self { _process: process, _data: data, operator })
    }
}

/// Runs the life of a session on a stack of each database, and reads the metrics. The router on PostgreSQL
/// has a node of its own.
fn exposes(workspace: &Workspace, programs: &Programs) -> Result<()> {
    let mut text = fs::read_to_string(workspace.root.join(RULES))?;
    text.extend(expressions(workspace)?.iter().flat_map(|expression| [" ", expression]));
    let expected = metrics_in(&text);
    ensure!(expected.len() > 25, "only {expected:?}");
    let (logs, issuer, cluster) = (workspace.scratch("logs")?, Issuer::start()?, Cluster::start()?);
    let mut settings = vec![("BERTH_WEBHOOK_ALLOW", "127.0.0.0/8".to_owned())];
    settings.extend(issuer.settings());
    settings.push(("BERTH_SEAL_KEYS", SEAL_KEY.to_owned()));
    let sqlite = Stack::start(programs, "deploy-sqlite", &logs, None, &settings)?;
    let url = cluster.create_database("board")?;
    let token = random_hex(20)?;
    settings.push(("BERTH_NODE_TOKENS", format!("gw-1={token}")));
    let postgres = Stack::start(programs, "deploy-postgres", &logs, Some(url), &settings)?;
    let node = Node::start(programs, &postgres, &token, &logs)?;
    let key = postgres.key("acme", &["manage", "read", "send"])?;
    let api = postgres.api.with_credential(Some(key));
    let _stream = EventStream::after(&api, "", "")?;
    let life = Life::begin(&api, &postgres.phones)?;
    wait::until("all metrics are exposed", PATIENCE, || {
        let mut exposed = BTreeSet::new();
        for operator in [&sqlite.operator, &postgres.operator, &node.operator] {
            let text = metrics_of(operator)?;
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let names = lines.filter_map(|line| line.split(['{', ' ']).next());
            exposed.extend(names.map(str::to_owned));
        }
        let missing: Vec<_> = expected.iter().filter(|name| !exposed.contains(**name)).collect();
        ensure!(missing.is_empty(), "no program exposes {missing:?}");
        Ok(Some(()))
    })?;
    let operators = [&postgres.operator, &node.operator];
    wait_for_lines("the figures are those of one session", operators, &FIGURES)?;
    life.unlink_on_phone()?;
    wait_for_lines("the end is counted once", operators, &UNLINKED_FIGURES)?;
    life.end()
}

/// Waits until the metrics of these programs have the lines.
fn wait_for_lines(what: &str, operators: [&Api; 2], lines: &[&str]) -> Result<()> {
    wait::until(what, PATIENCE, || {
        let texts = operators.map(metrics_of).into_iter().collect::<Result<String>>()?;
        for line in lines {
            ensure!(texts.lines().any(|exposed| exposed == *line), "there is no line {line}");
        }
        Ok(Some(()))
    })
}

fn metrics_of(operator: &Api) -> Result<String> {
    Ok(String::from_utf8(operator.get("/metrics")?.expect(200)?.body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_expressions() {
        let text = "sum by (le) (rate(berth_a_bucket{job=\"berth\"}[5m])) / process_b > up";
        assert_eq!(metrics_in(text), BTreeSet::from(["berth_a_bucket", "process_b"]));
    }
}
