//! Runs berth with its gateway on SQLite under ./data until Ctrl-C.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use anyhow::Result;
use testbed::{client::Api, interrupt, process::Process, programs, wait, workspace::Workspace};

use crate::commands::Up;

const DATABASE: &str = "sqlite:data/berth.db";
const LISTEN: &str = "127.0.0.1:8080";
const READY: Duration = Duration::from_secs(60);

/// Builds and starts berth, prints the next steps, and ends with berth.
pub(crate) fn run(workspace: &Workspace, asked: &Up) -> Result<ExitCode> {
    let program = build(workspace, asked.dev)?;
    let settings = Settings::read(&asked.berth);
    let mut command = Command::new(&program);
    command.arg("serve").args(&asked.berth).current_dir(&workspace.root);
    interrupt::pass_on();
    let mut berth = Process::spawn("berth", &mut command, None)?;
    let program = program.strip_prefix(&workspace.root).unwrap_or(&program).display().to_string();
    thread::spawn(move || settings.introduce(&program));
    let status = berth.wait()?;
    println!("berth ended ({status})");
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds both programs into one folder, where berth finds its gateway.
fn build(workspace: &Workspace, dev: bool) -> Result<PathBuf> {
    println!("building berth and berth-gateway (the first time takes some minutes)");
    let mut arguments = vec!["build", "--package", "server", "--package", "gateway"];
    if !dev {
        arguments.push("--release");
    }
    programs::cargo(workspace, &arguments)?;
    Ok(workspace.target.join(if dev { "debug" } else { "release" }).join("berth"))
}

/// The settings of berth that the introduction prints.
#[derive(Debug, PartialEq, Eq)]
struct Settings {
    listen: String,
    database: String,
    /// Whether a configuration file may override the settings.
    has_file: bool,
}

impl Settings {
    fn read(flags: &[String]) -> Self {
        Self::read_with(flags, |name| std::env::var_os(name)?.into_string().ok())
    }

    fn read_with(flags: &[String], variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = |flag: &str, name: &str| value_of(flags, flag).or_else(|| variable(name));
        Self {
            listen: given("--listen", "BERTH_LISTEN").unwrap_or_else(|| LISTEN.to_owned()),
            database: given("--database-url", "BERTH_DATABASE_URL")
                .unwrap_or_else(|| DATABASE.to_owned()),
            has_file: given("--config", "BERTH_CONFIG").is_some(),
        }
    }

    /// Waits until berth answers, and prints the address and how to create and use a first key.
    fn introduce(&self, program: &str) {
        let api = Api::new(&format!("http://{}", self.listen), None);
        if self.has_file {
            println!("\nberth runs with the settings of its configuration file.\n");
            return;
        }
        let lives = || Ok(api.get("/livez")?.status == 200);
        if wait::until_true("berth answers", READY, lives).is_err() {
            return; // berth prints the reason
        }
        let config = if self.database == DATABASE {
            String::new()
        } else {
            format!("BERTH_DATABASE_URL='{}' ", self.database)
        };
        let base = api.base();
        println!(
            "\nberth listens on {base}. Ctrl-C ends it.\n\n\
             Make a first key (it is shown once), from this folder, and use it:\n\n  \
             KEY=$({config}{program} key create --org acme --name first \
             --capability manage --capability read --capability send)\n  \
             curl -X POST {base}/api/v1/sessions -H \"X-Api-Key: $KEY\"\n  \
             SESSION=   # the id in the answer\n  \
             curl {base}/api/v1/sessions/$SESSION/qr -H \"X-Api-Key: $KEY\" \
             -H 'Accept: image/png' -o qr.png   # scan it with WhatsApp, Linked devices\n"
        );
    }
}

/// Returns the value of a flag, given as `--flag value` or `--flag=value`.
fn value_of(flags: &[String], flag: &str) -> Option<String> {
    let mut rest = flags.iter();
    while let Some(word) = rest.next() {
        if word == flag {
            return rest.next().cloned();
        }
        if let Some(value) = word.strip_prefix(flag).and_then(|value| value.strip_prefix('=')) {
            return Some(value.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_precede_the_environment_and_defaults() {
        let flags = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let variable = |name: &str| (name == "BERTH_LISTEN").then(|| "127.0.0.1:1".to_owned());
        let read = |words: &[&str]| Settings::read_with(&flags(words), variable);
        assert_eq!(read(&[]).listen, "127.0.0.1:1");
        assert_eq!(read(&["--listen", "127.0.0.1:2"]).listen, "127.0.0.1:2");
        assert_eq!(read(&["--x", "--listen=127.0.0.1:3"]).listen, "127.0.0.1:3");
        assert_eq!(read(&["--listening=x"]).database, DATABASE);
        assert!(read(&["--config", "berth.toml"]).has_file);
    }
}
