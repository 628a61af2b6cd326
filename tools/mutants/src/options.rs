//! The command line of `mutants`.

use clap::{Parser, ValueEnum};

/// Breaks the isolation of organizations, one place at a time, and runs the tests.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask mutants", bin_name = "cargo xtask mutants")]
pub(crate) struct Mutants {
    /// What is to be broken.
    #[arg(value_enum)]
    pub(crate) what: Subject,
    /// Only places whose line of `--list` contains this; may be repeated.
    #[arg(long)]
    pub(crate) only: Vec<String>,
    /// Only say which places there are.
    #[arg(long)]
    pub(crate) list: bool,
}

/// What `mutants` can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// What keeps organizations apart: each organization or reach in a `WHERE`, each capability.
    Isolation,
}
