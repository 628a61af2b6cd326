//! Generated files: their content comes from the programs, so that it cannot differ from the
//! programs.
//!
//! Tests of http-hyper write two more files, the OpenAPI document and the authorization matrix, and
//! check that both are current.

use std::{
    fmt::Write as _,
    fs,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, ensure};
use testbed::{
    checks::Checks,
    options::Prebuilt,
    process::Process,
    programs::{self, Programs},
    workspace::{self, Workspace},
};

use crate::{fuzz, tool};

/// A generated file with its generator.
struct Blessed {
    path: &'static str,
    make: fn(&Programs) -> Result<String>,
}

const BLESSED: [Blessed; 1] = [Blessed { path: "docs/command-line.md", make: command_line }];

/// The programs and subcommands whose help is on the page.
const PROGRAMS: [(&str, &[&str]); 23] = [
    ("berth", &["serve"]),
    ("berth", &["health"]),
    ("berth", &["doctor"]),
    ("berth", &["backup"]),
    ("berth", &["restore"]),
    ("berth", &["node-token"]),
    ("berth", &["generate"]),
    ("berth", &["key"]),
    ("berth", &["key", "create"]),
    ("berth", &["key", "list"]),
    ("berth", &["key", "revoke"]),
    ("berth", &["orphan"]),
    ("berth", &["orphan", "list"]),
    ("berth", &["orphan", "adopt"]),
    ("berth", &["orphan", "unlink"]),
    ("berth", &["seal"]),
    ("berth", &["seal", "status"]),
    ("berth-gateway", &[]),
    ("berth-gateway", &["doctor"]),
    ("berth-gateway", &["backup"]),
    ("berth-gateway", &["restore"]),
    ("berth-gateway", &["generate"]),
    ("whatsapp-sim", &[]),
];

/// Writes every generated file.
pub(crate) fn run(workspace: &Workspace, prebuilt: &Prebuilt) -> Result<()> {
    fuzz::lock(workspace)?;
    by_tests(workspace)?;
    let programs = Programs::find(workspace, prebuilt)?;
    for blessed in BLESSED {
        fs::write(workspace.root.join(blessed.path), (blessed.make)(&programs)?)?;
        println!("wrote {}", blessed.path);
    }
    Ok(())
}

/// Writes the pictures of the README.
pub(crate) fn pictures(workspace: &Workspace, prebuilt: &Prebuilt) -> Result<ExitCode> {
    let programs = Programs::find(workspace, prebuilt)?;
    let folder = workspace.root.join("docs/pictures");
    let arguments = [
        "--pictures".into(),
        folder.into(),
        "--programs".into(),
        programs.folder().as_os_str().to_owned(),
    ];
    tool::BROWSER.run(workspace, &arguments)
}

/// Writes `docs/openapi.json` and `crates/http-hyper/tests/http/authorization.txt`.
fn by_tests(workspace: &Workspace) -> Result<()> {
    let mut tests = workspace.cargo();
    tests.args(["test", "--quiet", "--workspace", "--features", programs::SIM]);
    tests.args(["--test", "http", "--", "blessed"]).env("BLESS", "1");
    let status = Process::spawn("cargo", &mut tests, None)?.wait()?;
    ensure!(status.success(), "the tests of http-hyper that write files failed");
    println!("wrote docs/openapi.json, crates/http-hyper/tests/http/authorization.txt");
    Ok(())
}

/// Checks that the generated files are current.
pub(crate) fn check(workspace: &Workspace, programs: &Programs, checks: &mut Checks) {
    for blessed in BLESSED {
        checks.check(&format!("tidy: {} is current", blessed.path), || {
            let present = fs::read_to_string(workspace.root.join(blessed.path));
            let now = (blessed.make)(programs)?;
            ensure!(
                present.is_ok_and(|present| present == now),
                "`cargo xtask bless` updates the file"
            );
            Ok(())
        });
    }
}

fn command_line(programs: &Programs) -> Result<String> {
    let mut page = String::from(
        "# The programs' command lines\n\nWritten by `cargo xtask bless` from what the programs \
         print; not by hand.\n",
    );
    for (program, subcommand) in PROGRAMS {
        let mut command = Command::new(programs.program(program));
        command.args(subcommand).arg("--help").env_clear().env("COLUMNS", "100");
        let help = workspace::answer(&mut command)
            .with_context(|| format!("{program} {}", subcommand.join(" ")))?;
        let title = [&[program], subcommand].concat().join(" ");
        let help: Vec<_> = help.lines().map(str::trim_end).collect();
        write!(page, "\n## `{title}`\n\n```text\n{}\n```\n", help.join("\n").trim())?;
    }
    Ok(page)
}
