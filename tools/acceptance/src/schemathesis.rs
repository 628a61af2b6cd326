//! Schemathesis walks the API by its own document, with keys of two organizations.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{client::Api, folder::Folder, process::Process, workspace::Workspace};

use crate::python;

/// Upper bound of a walk, which usually takes a minute.
const PATIENCE: Duration = Duration::from_secs(600);
/// The operations that no API key may call; a login token of the platform walks them alone.
const PLATFORM_OPERATIONS: [&str; 2] = ["admin_session_list", "admin_gateway_list"];

/// Validates the served document as OpenAPI 3.1.
///
/// # Errors
/// When the document is invalid, or Python is missing.
pub fn validate_document(api: &Api) -> Result<()> {
    let folder = Folder::new("document")?;
    let file = folder.path().join("openapi.json");
    fs::write(&file, api.with_credential(None).get("/openapi.json")?.expect(200)?.body)?;
    let mut validator = python::ready(&Workspace::find()?)?.command(folder.path());
    validator.args(["-m", "openapi_spec_validator", "--schema", "3.1"]).arg(file);
    testbed::workspace::answer(&mut validator).map(drop)
}

/// One walk of schemathesis. `tools/acceptance/schemathesis` configures the checks.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'a> {
    /// Name of the deployment, for the log.
    pub name: &'a str,
    /// Id of a linked session that the walk must not delete or unlink.
    pub linked: Option<&'a str>,
    /// A phone number that the linked session has a chat with, and the id of a message in the chat.
    pub chat: Option<(&'a str, &'a str)>,
    /// Whether to leave out operations that ask a phone to link.
    pub gently: bool,
    /// Whether to walk only the operation of the platform's own people; otherwise all others.
    pub platform: bool,
}

impl Walk<'_> {
    /// Walks with the credentials of clients of two organizations.
    ///
    /// # Errors
    /// When schemathesis finds a violation, or cannot run; with the findings.
    pub fn run(&self, a: &Api, b: &Api) -> Result<()> {
        let workspace = Workspace::find()?;
        let python = python::ready(&workspace)?;
        let folder = Folder::new("walk")?;
        let keys = folder.path().join("keys.json");
        fs::write(&keys, identities(a, b)?.to_string())?;
        let platform = if self.platform { "-platform" } else { "" };
        let log = format!("{}-schemathesis{platform}.log", self.name);
        let log = workspace.scratch("logs")?.join(log);
        fs::write(&log, "")?;
        let mut walk = python.command(&workspace.root.join("tools/acceptance/schemathesis"));
        walk.env("BERTH_WALK_URL", a.base())
            .env("BERTH_WALK_AUTH", &keys)
            .env("BERTH_WALK_LINKED", self.linked.unwrap_or_default())
            .env("BERTH_WALK_CHAT", self.chat.map(|(chat, _)| chat).unwrap_or_default())
            .env("BERTH_WALK_MESSAGE", self.chat.map(|(_, id)| id).unwrap_or_default())
            .env("BERTH_WALK_GENTLY", if self.gently { "1" } else { "" });
        self.arguments(&mut walk, a.base());
        let succeeded = succeeds(&mut walk, &log)?;
        let output = fs::read_to_string(&log)?;
        println!("          {}; log: {}", cases(&output), log.display());
        ensure!(succeeded, "{}", findings(&output));
        Ok(())
    }

    fn arguments(&self, walk: &mut Command, base: &str) {
        // The installed script contains the path of the environment that created it.
        walk.args(["-c", "from schemathesis.cli import schemathesis; schemathesis()"]);
        walk.args(["--no-color", "--config-file", "schemathesis.toml", "run"]);
        walk.arg(format!("{base}/openapi.json")).args(["--url", base]);
        if self.platform {
            for operation in PLATFORM_OPERATIONS {
                walk.args(["--include-operation-id", operation]);
            }
            // These operations have no links to follow.
            walk.args(["--phases", "examples,coverage,fuzzing"]);
        } else {
            for operation in PLATFORM_OPERATIONS {
                walk.args(["--exclude-operation-id", operation]);
            }
        }
        if self.gently {
            for operation in ["session_qr", "session_pairing_code"] {
                walk.args(["--exclude-operation-id", operation]);
            }
        }
    }
}

/// Returns the credentials of both organizations in the form that the hooks read.
fn identities(a: &Api, b: &Api) -> Result<Value> {
    let identity = |name: &str, api: &Api| {
        let credential = api.credential().context("a walk needs credentials")?;
        let (header, value) = credential.header();
        let header = json!({ "name": header, "value": value });
        Ok::<_, anyhow::Error>(json!({ "name": name, "fixedHeaders": [header] }))
    };
    Ok(json!({ "auth": [identity("a", a)?, identity("b", b)?] }))
}

/// Waits for the end of a walk; returns whether it found no violation.
fn succeeds(walk: &mut Command, log: &Path) -> Result<bool> {
    let mut process = Process::spawn("schemathesis", walk, Some(log))?;
    let began = Instant::now();
    loop {
        if let Some(status) = process.ended()? {
            return Ok(status.success());
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "schemathesis still runs after {} s",
            PATIENCE.as_secs()
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// Returns the line with the number of test cases.
fn cases(output: &str) -> &str {
    let lines = output.lines().skip_while(|line| !line.starts_with("Test cases:"));
    lines.skip(1).map(str::trim).next().unwrap_or("no cases")
}

/// Returns the violations, or the end of the output when there are none.
fn findings(output: &str) -> String {
    let lines: Vec<_> = output.lines().collect();
    let heads = ["= FAILURES =", "= ERRORS ="];
    let begin = lines.iter().position(|line| heads.iter().any(|head| line.contains(head)));
    let from = begin.unwrap_or_else(|| lines.len().saturating_sub(60));
    lines[from..].iter().take(120).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_count_and_findings_are_read_from_the_output() {
        let output =
            "...\n== FAILURES ==\none\n=== SUMMARY ===\n\nTest cases:\n  12 generated, 1 found\n";
        assert_eq!(cases(output), "12 generated, 1 found");
        assert!(findings(output).starts_with("== FAILURES ==\none"));
        assert_eq!(cases("Cannot load"), "no cases");
        assert_eq!(findings("Cannot load"), "Cannot load");
    }
}
