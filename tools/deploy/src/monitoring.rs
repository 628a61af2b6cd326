//! Checks of the Grafana board and the alert rules: every metric exists on a running stack, every
//! expression is valid, and the rules pass their own tests.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    checks::Checks,
    event_stream::EventStream,
    folder::Folder,
    issuer::Issuer,
    postgres::Cluster,
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
/// Figures of a stack with one session, which works.
const FIGURES: [&str; 6] = [
    "berth_ready 1",
    "berth_sessions{status=\"working\"} 1",
    "berth_sessions{status=\"failed\"} 0",
    "berth_gateway_capacity{gateway=\"gw-local\"} 500",
    "berth_gateway_sessions{gateway=\"gw-local\"} 1",
    "berth_retirements 0",
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
    expression.replace("$job", "berth").replace("$waiting", "session_qr")
}

/// Returns the names of metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !(letter == '_' || letter.is_ascii_alphanumeric()));
    words.filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix))).collect()
}

/// Runs the life of a session on a stack of each database, and reads the metrics.
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
    let postgres = Stack::start(programs, "deploy-postgres", &logs, Some(url), &settings)?;
    let key = postgres.key("acme", &["manage", "read", "send"])?;
    let api = postgres.api.with_credential(Some(key));
    let _stream = EventStream::after(&api, "", "")?;
    let life = Life::begin(&api, &postgres.phones)?;
    wait::until("all metrics are exposed", PATIENCE, || {
        let mut exposed = BTreeSet::new();
        for stack in [&sqlite, &postgres] {
            let text = metrics_of(stack)?;
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let names = lines.filter_map(|line| line.split(['{', ' ']).next());
            exposed.extend(names.map(str::to_owned));
        }
        let missing: Vec<_> = expected.iter().filter(|name| !exposed.contains(**name)).collect();
        ensure!(missing.is_empty(), "no stack exposes {missing:?}");
        Ok(Some(()))
    })?;
    wait::until("the figures are those of one session", PATIENCE, || {
        let text = metrics_of(&postgres)?;
        for line in FIGURES {
            ensure!(text.lines().any(|exposed| exposed == line), "there is no line {line}");
        }
        Ok(Some(()))
    })?;
    life.end()
}

fn metrics_of(stack: &Stack) -> Result<String> {
    Ok(String::from_utf8(stack.operator.get("/metrics")?.expect(200)?.body)?)
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
