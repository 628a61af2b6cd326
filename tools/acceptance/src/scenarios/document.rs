//! The API's document, and the API held to it: a validator reads the one, schemathesis walks the other
//! with keys of two organizations.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    client::Api, folder::Folder, issuer::Token, process::Process, sessions::Owned, stack::Stack,
    workspace::Workspace,
};

use super::{A, B, Pair};
use crate::{python::Python, suite::Suite};

const DOCUMENT: &str = "docs/openapi.json";
/// A walk takes a minute; one that takes so long hangs.
const PATIENCE: Duration = Duration::from_secs(600);

/// No key may do this, so that it is walked by itself, with a login token.
const OF_THE_PLATFORM: &str = "admin_session_list";

const READ: &str = "a validator reads the document as OpenAPI 3.1";
const WALKED: &str = "the API is as its document says, walked by schemathesis as two organizations";

/// On somebody's deployment: nothing there is touched, and nobody's phone is asked to link.
pub(super) fn run_remote(suite: &mut Suite<'_>, workspace: &Workspace, pair: &Pair) {
    suite.run(READ, || read(workspace, &pair.a));
    suite.run(WALKED, || {
        let walk = Walk { place: "remote", linked: None, gently: true, only: None };
        walk.run(workspace, pair)
    });
}

/// On a stack of our own, with a phone.
pub(super) fn run_local(
    suite: &mut Suite<'_>,
    workspace: &Workspace,
    stack: &mut Stack,
    pair: &Pair,
) {
    let place = suite.place().to_owned();
    suite.run_on(stack, "the document that is checked in is served, to everybody", |_| {
        let served = pair.a.asked_by(None).get("/openapi.json")?.expect(200)?;
        let known = fs::read(workspace.root.join(DOCUMENT))?;
        ensure!(served.body == known, "another than {DOCUMENT} is served");
        let tag = served.header("etag").context("it has no ETag")?;
        let again = pair.a.send("GET", "/openapi.json", &[("If-None-Match", tag)], None)?;
        again.expect(304)?;
        pair.a.asked_by(None).get("/docs")?.expect(200).map(drop)
    });
    suite.run_on(stack, READ, |_| read(workspace, &pair.a));
    suite.run_on(stack, WALKED, |stack| {
        let phone = stack.phones.new_phone("Walker")?;
        let linked = Owned::create(&pair.a, "walker")?;
        linked.link(&phone)?;
        let all = ["read", "send", "manage"];
        let key = |organization| Ok::<_, anyhow::Error>(Some(stack.key(organization, &all)?));
        let walkers = Pair { a: stack.api.asked_by(key(A)?), b: stack.api.asked_by(key(B)?) };
        let walk = Walk { place: &place, linked: Some(&linked.id), gently: false, only: None };
        walk.run(workspace, &walkers)?;
        let walk = Walk { only: Some(OF_THE_PLATFORM), ..walk };
        let nobody = Token::of(A, "none").with("org_id", Value::Null);
        let platform = nobody.with("platform_role", json!("super_admin")).sign();
        walk.run(workspace, &Pair { a: stack.api.asked_by(Some(platform)), ..walkers })?;
        linked.until_linked(&phone)?;
        linked.delete()?;
        linked.must_be_gone(stack, Some(&phone))
    });
}

fn read(workspace: &Workspace, api: &Api) -> Result<()> {
    let folder = Folder::new("document")?;
    let file = folder.path().join("openapi.json");
    fs::write(&file, api.asked_by(None).get("/openapi.json")?.expect(200)?.body)?;
    let mut validator = Python::ready(workspace)?.command(folder.path());
    validator.args(["-m", "openapi_spec_validator", "--schema", "3.1"]).arg(file);
    testbed::workspace::answer(&mut validator).map(drop)
}

/// One walk of schemathesis; how it walks is in `tools/acceptance/schemathesis`.
#[derive(Clone, Copy)]
struct Walk<'a> {
    place: &'a str,
    linked: Option<&'a str>,
    gently: bool,
    /// One operation alone, that of the platform's own people; all others otherwise.
    only: Option<&'a str>,
}

impl Walk<'_> {
    fn run(&self, workspace: &Workspace, pair: &Pair) -> Result<()> {
        let python = Python::ready(workspace)?;
        let folder = Folder::new("walk")?;
        let keys = folder.path().join("keys.json");
        fs::write(&keys, identities(pair)?.to_string())?;
        let log =
            format!("{}-schemathesis{}.log", self.place, self.only.map_or("", |_| "-platform"));
        let log = workspace.scratch("logs")?.join(log);
        fs::write(&log, "")?;
        let mut walk = python.command(&workspace.root.join("tools/acceptance/schemathesis"));
        walk.env("BERTH_WALK_URL", pair.a.base())
            .env("BERTH_WALK_AUTH", &keys)
            .env("BERTH_WALK_LINKED", self.linked.unwrap_or_default())
            .env("BERTH_WALK_GENTLY", if self.gently { "1" } else { "" });
        self.arguments(&mut walk, pair.a.base());
        let ended = walked(&mut walk, &log)?;
        let told = fs::read_to_string(&log)?;
        println!("          {}; all of it in {}", cases(&told), log.display());
        ensure!(ended, "{}", findings(&told));
        Ok(())
    }

    fn arguments(&self, walk: &mut Command, base: &str) {
        // Its own starter has the path it was made at written into it.
        walk.args(["-c", "from schemathesis.cli import schemathesis; schemathesis()"]);
        walk.args(["--no-color", "--config-file", "schemathesis.toml", "run"]);
        walk.arg(format!("{base}/openapi.json")).args(["--url", base]);
        match self.only {
            // One alone has no links to follow.
            Some(operation) => walk
                .args(["--include-operation-id", operation])
                .args(["--phases", "examples,coverage,fuzzing"]),
            None => walk.args(["--exclude-operation-id", OF_THE_PLATFORM]),
        };
        if self.gently {
            for operation in ["session_qr", "session_pairing_code"] {
                walk.args(["--exclude-operation-id", operation]);
            }
        }
    }
}

/// Both organizations' credentials, as schemathesis reads identities.
fn identities(pair: &Pair) -> Result<Value> {
    let identity = |name: &str, api: &Api| {
        let credential = api.credential().context("the walk needs credentials")?;
        let (header, value) = credential.header();
        let header = json!({ "name": header, "value": value });
        Ok::<_, anyhow::Error>(json!({ "name": name, "fixedHeaders": [header] }))
    };
    Ok(json!({ "auth": [identity("a", &pair.a)?, identity("b", &pair.b)?] }))
}

/// Whether it ended well.
fn walked(walk: &mut Command, log: &Path) -> Result<bool> {
    let mut process = Process::spawn("schemathesis", walk, Some(log))?;
    let began = Instant::now();
    loop {
        if let Some(status) = process.ended()? {
            return Ok(status.success());
        }
        ensure!(began.elapsed() < PATIENCE, "it has walked for {} s", PATIENCE.as_secs());
        thread::sleep(Duration::from_millis(100));
    }
}

/// How many cases there were.
fn cases(told: &str) -> &str {
    let lines = told.lines().skip_while(|line| !line.starts_with("Test cases:"));
    lines.skip(1).map(str::trim).next().unwrap_or("no cases")
}

/// What it found, or why it did not walk.
fn findings(told: &str) -> String {
    let lines: Vec<_> = told.lines().collect();
    let heads = ["= FAILURES =", "= ERRORS ="];
    let begin = lines.iter().position(|line| heads.iter().any(|head| line.contains(head)));
    let from = begin.unwrap_or_else(|| lines.len().saturating_sub(60));
    lines[from..].iter().take(120).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_count_and_its_findings_are_told() {
        let told =
            "...\n== FAILURES ==\none\n=== SUMMARY ===\n\nTest cases:\n  12 generated, 1 found\n";
        assert_eq!(cases(told), "12 generated, 1 found");
        assert!(findings(told).starts_with("== FAILURES ==\none"));
        assert_eq!(cases("Cannot load"), "no cases");
        assert_eq!(findings("Cannot load"), "Cannot load");
    }
}
