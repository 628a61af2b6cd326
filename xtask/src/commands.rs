//! The command line: one subcommand a task, each with what a person may want to change about it.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use testbed::options::{DatabaseKind, Prebuilt};

/// berth's tools.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) struct Tools {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build berth with its gateway and run it on SQLite under ./data.
    Up(Up),
    /// The same on a simulated WhatsApp, walking through a session's whole life.
    Demo(Demo),
    /// Every test there is, PostgreSQL included.
    Test(Test),
    /// What the API promises, tried from the outside.
    Contract(Contract),
    /// One fault suite at its full size: minutes to an hour. `test` runs all of them small.
    #[command(disable_help_flag = true)]
    Soak(Forwarded),
    /// Whatever berth reads, with bytes that nobody would send; `cargo fuzz` is not needed.
    Fuzz(Fuzz),
    /// Whether the tests notice when something that matters is broken: breaks each in turn.
    #[command(disable_help_flag = true)]
    Mutants(Forwarded),
    /// The house rules.
    Tidy(Tidy),
    /// Write anew the files that are generated.
    Bless(Prebuilt),
    /// How fast and how small, measured on release builds and written to `docs/benchmarks.md`.
    #[command(disable_help_flag = true)]
    Bench(Forwarded),
    /// What runs before a change lands: `test`, on exactly what is locked and committed.
    Ci,
}

/// Arguments for a program of `tools/`, which has a help of its own.
#[derive(Debug, Args)]
pub(crate) struct Forwarded {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Build without optimisation: quicker to build, slower to run.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Handed to `berth serve`.
    #[arg(last = true)]
    pub(crate) berth: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep running afterwards; the phone links whatever session shows a QR code.
    #[arg(long)]
    pub(crate) stay: bool,
    #[command(flatten)]
    pub(crate) prebuilt: Prebuilt,
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
    /// The crates' own tests, from pure rules to assembled servers.
    Ring,
    /// Every fuzz target, briefly.
    Fuzz,
    /// Examples in the documentation.
    Docs,
    /// The house rules.
    Tidy,
    /// What the API promises, on both databases.
    Contract,
    /// Every fault suite at its small size.
    Faults,
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
    /// Only these targets; all of them when none is named.
    pub(crate) names: Vec<String>,
    /// How long each runs.
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u64,
    /// Only this input, once: to see again what a run has found.
    #[arg(long, requires = "names")]
    pub(crate) input: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Tidy {
    /// Leave out what needs the programs built.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only rules whose name contains this text, for every package; may be repeated. For example:
    /// cycles, type name, forbidden words, dependencies.
    #[arg(long)]
    pub(crate) only: Vec<String>,
    #[command(flatten)]
    pub(crate) prebuilt: Prebuilt,
}
