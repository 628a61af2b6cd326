//! The command line of `soak`.

use clap::{Parser, ValueEnum};
use testbed::options::{DatabaseKind, Prebuilt};

/// Runs a fault suite at its full size.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
pub struct Soak {
    /// The suite.
    #[arg(value_enum, value_name = "NAME", required_unless_present = "check")]
    pub suite: Option<FaultSuite>,
    /// Every suite at its small size, as `cargo xtask test --only faults` runs them.
    #[arg(long, hide = true)]
    pub check: bool,
    /// Only on this database; may be repeated.
    #[arg(long, value_enum)]
    pub database: Vec<DatabaseKind>,
    /// Repeats the random choices of a former run, which printed its seed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// At the size that `test` runs.
    #[arg(long)]
    pub small: bool,
    /// How many races or kills on each database.
    #[arg(long)]
    pub trials: Option<usize>,
    /// Where the programs come from.
    #[command(flatten)]
    pub prebuilt: Prebuilt,
}

/// A fault suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FaultSuite {
    /// Deletes, stops and logouts while a phone links.
    Raced,
    /// Every wire broken in each direction and in both.
    Wires,
    /// One organization takes what it can get while another works.
    Greedy,
    /// Clients without a credential hold what they can.
    Strangers,
    /// `kill -9` at random moments; the contract has chosen ones.
    Storms,
}

impl FaultSuite {
    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raced => "raced",
            Self::Wires => "wires",
            Self::Greedy => "greedy",
            Self::Strangers => "strangers",
            Self::Storms => "storms",
        }
    }
}
