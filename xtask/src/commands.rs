//! The command line of `cargo xtask`.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use testbed::options::{DatabaseKind, Prebuilt};

/// Builds, runs, tests and measures berth.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) struct Tools {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build berth with its gateway and run both on SQLite under ./data.
    Up(Up),
    /// Run the life of a session on a simulated WhatsApp, and show its events as they arrive.
    #[command(disable_help_flag = true)]
    Demo(Forwarded),
    /// Run every test, with PostgreSQL.
    Test(Test),
    /// Test the API from the outside, on running programs.
    Contract(Contract),
    /// Run one fault suite, or `browser` or `logins`, at its full size, in minutes to an hour; `test`
    /// runs all suites but `logins` at their small size.
    #[command(disable_help_flag = true)]
    Soak(Forwarded),
    /// Fuzz the inputs from outside; `cargo fuzz` is not needed.
    Fuzz(Fuzz),
    /// Break the isolation of organizations one place at a time, and run the tests.
    #[command(disable_help_flag = true)]
    Mutants(Forwarded),
    /// Check the rules of the project.
    Tidy(Tidy),
    /// Write the generated files.
    Bless(Bless),
    /// Measure speed and memory of release builds and write `docs/benchmarks.md`.
    #[command(disable_help_flag = true)]
    Bench(Forwarded),
    /// Build something that an operator installs: `package deb`.
    #[command(disable_help_flag = true)]
    Package(Forwarded),
    /// Run `test` on exactly the locked and committed state, as before a change lands.
    Ci,
}

#[derive(Debug, Args)]
pub(crate) struct Bless {
    /// Write the pictures of the README instead, which no test compares.
    #[arg(long)]
    pub(crate) pictures: bool,
    #[command(flatten)]
    pub(crate) prebuilt: Prebuilt,
}

/// Arguments for a program of `tools/`, which has its own help.
#[derive(Debug, Args)]
pub(crate) struct Forwarded {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Build without optimisation: a faster build of slower programs.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Arguments for `berth serve`.
    #[arg(last = true)]
    pub(crate) berth: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Only this part; may be repeated.
    #[arg(long, value_enum)]
    pub(crate) only: Vec<Part>,
}

/// A part of `test`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Formatting and lints.
    Gates,
    /// The tests of the crates, from pure rules to assembled servers.
    Ring,
    /// Every fuzz target for a few seconds.
    Fuzz,
    /// Examples in the documentation.
    Docs,
    /// The rules of the project.
    Tidy,
    /// The acceptance tests, on both databases.
    Contract,
    /// Every fault suite at its small size.
    Faults,
    /// The dashboard in Chromium.
    Browser,
    /// Images, packages, units, boards and manifests.
    Deploy,
}

#[derive(Debug, Args)]
pub(crate) struct Contract {
    /// Test this deployment instead of a new one, with the tests that are safe there.
    #[arg(long, requires = "key_a", requires = "key_b")]
    pub(crate) url: Option<String>,
    /// A key of one organization, with `manage`.
    #[arg(long, env = "BERTH_CONTRACT_KEY_A", hide_env_values = true)]
    pub(crate) key_a: Option<String>,
    /// A key of another organization, with `manage`.
    #[arg(long, env = "BERTH_CONTRACT_KEY_B", hide_env_values = true)]
    pub(crate) key_b: Option<String>,
    /// A login token of the first organization, with `manage`.
    #[arg(long, env = "BERTH_CONTRACT_JWT_A", hide_env_values = true)]
    pub(crate) jwt_a: Option<String>,
    /// Only on this database; may be repeated.
    #[arg(long, value_enum)]
    pub(crate) database: Vec<DatabaseKind>,
    /// Only tests whose name contains this; may be repeated.
    #[arg(long)]
    pub(crate) only: Vec<String>,
    #[command(flatten)]
    pub(crate) prebuilt: Prebuilt,
}

#[derive(Debug, Args)]
pub(crate) struct Fuzz {
    /// Only these targets; all targets without a name.
    pub(crate) names: Vec<String>,
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u64,
    /// Run only this input, once, to reproduce a finding.
    #[arg(long, requires = "names")]
    pub(crate) input: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Tidy {
    /// Leave out the checks that need built programs.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only rules whose name contains this text, for every package; may be repeated. For example:
    /// cycles, type name, forbidden words, dependencies.
    #[arg(long)]
    pub(crate) only: Vec<String>,
    #[command(flatten)]
    pub(crate) prebuilt: Prebuilt,
}
