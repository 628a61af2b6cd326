//! The command line of `soak`.

use clap::{Parser, ValueEnum};
use testbed::options::{DatabaseKind, Prebuilt};

/// Run one fault suite at its full size.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask soak",
    bin_name = "cargo xtask soak",
    after_help = "`cargo xtask soak browser` and `cargo xtask soak logins` run the dashboard: in every \
                  language, and against real issuers of logins."
)]
pub struct Soak {
    /// The suite.
    #[arg(value_enum, value_name = "NAME", required_unless_present = "check")]
    pub suite: Option<FaultSuite>,
    /// Run every suite at its small size.
    #[arg(long, hide = true)]
    pub check: bool,
    /// Only on this database; may be repeated.
    #[arg(long, value_enum)]
    pub database: Vec<DatabaseKind>,
    /// The seed of an earlier run, for the same random choices.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Run the size that `cargo xtask test` runs.
    #[arg(long)]
    pub small: bool,
    /// Number of races or kills on each database.
    #[arg(long)]
    pub trials: Option<usize>,
    /// Where the programs come from.
    #[command(flatten)]
    pub prebuilt: Prebuilt,
}

/// A fault suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FaultSuite {
    /// Deletes, stops, logouts and restarts while a phone links.
    Raced,
    /// Every connection silent or cut, in each direction and in both.
    Wires,
    /// One organization uses up shared resources while another works.
    Greedy,
    /// Clients without a credential hold shared resources.
    Strangers,
    /// `kill -9` at random moments; `contract` kills at chosen moments.
    Storms,
    /// `kill -9` of routers while clients follow the events.
    Streams,
    /// `kill -9` of router, node or both while texts arrive and leave.
    Messages,
}

impl FaultSuite {
    /// Returns the name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raced => "raced",
            Self::Wires => "wires",
            Self::Greedy => "greedy",
            Self::Strangers => "strangers",
            Self::Storms => "storms",
            Self::Streams => "streams",
            Self::Messages => "messages",
        }
    }
}
