//! The command line: one subcommand a task, each with what a person may want to change about it.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    Soak(Soak),
    /// Whatever berth reads, with bytes that nobody would send; `cargo fuzz` is not needed.
    Fuzz(Fuzz),
    /// Whether the tests notice when something that matters is broken: breaks each in turn.
    Mutants(Mutants),
    /// The house rules.
    Tidy(Tidy),
    /// Write anew the files that are generated.
    Bless(Prebuilt),
    /// How fast and how small, measured on release builds and written to `docs/benchmarks.md`.
    Bench(Bench),
    /// The same with this very program, which must be a release build.
    #[command(hide = true)]
    BenchHere(Bench),
    /// The bare server that `bench` compares with.
    #[command(hide = true)]
    BenchBare(BenchBare),
    /// What runs before a change lands: `test`, on exactly what is locked and committed.
    Ci,
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
    /// A deployment to try instead of one started here: only what harms nobody is run.
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
    /// Only scenarios whose name contains this; may be repeated.
    #[arg(long)]
    pub(crate) only: Vec<String>,
    #[command(flatten)]
    pub(crate) prebuilt: Prebuilt,
}

/// A database berth runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DatabaseKind {
    Sqlite,
    Postgres,
}

impl DatabaseKind {
    /// The name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// The suite.
    #[arg(value_enum, value_name = "NAME")]
    pub(crate) suite: FaultSuite,
    /// Only on this database; may be repeated.
    #[arg(long, value_enum)]
    pub(crate) database: Vec<DatabaseKind>,
    /// Repeats the random choices of a former run, which printed its seed.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// At the size that `test` runs.
    #[arg(long)]
    pub(crate) small: bool,
    /// How many races or kills on each database.
    #[arg(long)]
    pub(crate) trials: Option<usize>,
    #[command(flatten)]
    pub(crate) prebuilt: Prebuilt,
}

/// A fault suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FaultSuite {
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
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Raced => "raced",
            Self::Wires => "wires",
            Self::Greedy => "greedy",
            Self::Strangers => "strangers",
            Self::Storms => "storms",
        }
    }
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

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Only these; all of them when none is named.
    #[arg(value_enum)]
    pub(crate) names: Vec<Measure>,
    /// Print the figures, and leave `docs/benchmarks.md` as it is.
    #[arg(long)]
    pub(crate) dry: bool,
    /// Build nothing and write nothing: release builds of berth, berth-gateway (with feature `sim`),
    /// whatsapp-sim and xtask are in this folder; for `start` and `lists` also store-diesel's example `seed`.
    #[arg(long)]
    pub(crate) programs: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) size: Size,
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

impl Size {
    /// The same, for another run of this tool.
    pub(crate) fn arguments(self) -> Vec<String> {
        let sessions = self.sessions.map(|sessions| format!("--sessions={sessions}"));
        [format!("--pairs={}", self.pairs)].into_iter().chain(sessions).collect()
    }
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

#[derive(Debug, Default, Args)]
pub(crate) struct Prebuilt {
    /// Build nothing: berth, berth-gateway (with feature `sim`) and whatsapp-sim are in this folder.
    #[arg(long, env = "BERTH_TEST_BIN")]
    pub(crate) programs: Option<PathBuf>,
}
