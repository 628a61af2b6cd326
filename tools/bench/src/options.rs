//! The command line of `bench`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures the speed and the memory of release builds.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) internal: Option<Internal>,
    /// Only these; all of them when none is named.
    #[arg(value_enum)]
    pub(crate) names: Vec<Measure>,
    /// Print the figures, and leave `docs/benchmarks.md` as it is.
    #[arg(long)]
    pub(crate) dry: bool,
    /// Build nothing and write nothing: release builds of berth, berth-gateway (with feature `sim`),
    /// whatsapp-sim are in this folder; for `start` and `lists` also store-diesel's example `seed`.
    #[arg(long)]
    pub(crate) programs: Option<PathBuf>,
    /// The programs that `cargo xtask bench` has built from these sources.
    #[arg(long, hide = true, conflicts_with = "programs")]
    pub(crate) built: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) size: Size,
}

/// What the program runs itself as.
#[derive(Debug, Subcommand)]
pub(crate) enum Internal {
    /// The reference server that measurements compare with.
    #[command(hide = true)]
    Bare(BenchBare),
}

impl Bench {
    /// Whether this is to be measured.
    pub(crate) fn measures(&self, name: Measure) -> bool {
        self.names.is_empty() || self.names.contains(&name)
    }
}

/// How much is measured, where that can be chosen.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Size {
    /// For `isolation`: pairs of requests a comparison; those of less weight get a tenth.
    #[arg(long, default_value_t = 200_000)]
    pub(crate) pairs: usize,
    /// For `lists`: sessions in the large database, a million if not told. For `fleet`: sessions in one
    /// node, a thousand if not told.
    #[arg(long)]
    pub(crate) sessions: Option<usize>,
}

/// What `bench` can measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// How long berth takes to be ready.
    Start,
    /// What berth and its gateway hold in memory and on disk.
    Memory,
    /// What a node with many sessions holds, and how soon they are back; fails when that is too much.
    Fleet,
    /// How many requests for a session are answered, beside hyper alone.
    Get,
    /// How long answers take at half of the load, beside hyper alone.
    Latency,
    /// Whether those who wait are in the way of those who ask.
    Waits,
    /// What an organization is answered while another sends as much as it can, beside hyper alone.
    Fairness,
    /// How many sessions are made and deleted, beside what the disk takes.
    Writes,
    /// Whether refusals can be told apart by their time; fails when they can.
    Isolation,
    /// What lists cost at a million sessions; fails when a deep page costs more than a first one.
    Lists,
}

impl Measure {
    /// As it is called on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Memory => "memory",
            Self::Fleet => "fleet",
            Self::Get => "get",
            Self::Latency => "latency",
            Self::Waits => "waits",
            Self::Fairness => "fairness",
            Self::Writes => "writes",
            Self::Isolation => "isolation",
            Self::Lists => "lists",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct BenchBare {
    /// Where to listen.
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// A file with the answer to everything.
    #[arg(long)]
    pub(crate) answer: PathBuf,
}
