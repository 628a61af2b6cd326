//! The command line of `bench`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::rounds::ROUNDS;

/// Measures the speed and the memory of release builds.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) internal: Option<Internal>,
    /// Only these measurements; all without a name.
    #[arg(value_enum)]
    pub(crate) names: Vec<Measure>,
    /// Print the figures and leave `docs/benchmarks.md` unchanged.
    #[arg(long)]
    pub(crate) dry: bool,
    /// Use the release builds of berth, berth-gateway (with feature `sim`) and whatsapp-sim in this
    /// folder, and write nothing; `start`, `lists`, `live` and `hooks` also need store-diesel's
    /// example `seed`, and `messages` needs whatsapp-sim's example `exchange`.
    #[arg(long)]
    pub(crate) programs: Option<PathBuf>,
    /// For `mixed` and `writes`: compare with the release builds in this folder in the same run, and
    /// write nothing.
    #[arg(long)]
    pub(crate) against: Option<PathBuf>,
    /// The programs that `cargo xtask bench` has built from these sources.
    #[arg(long, hide = true, conflicts_with = "programs")]
    pub(crate) built: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) size: Size,
}

/// The roles in which the program starts itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Internal {
    /// The reference server that measurements compare with.
    #[command(hide = true)]
    Bare(BenchBare),
    /// The reference of deliveries to webhooks.
    #[command(hide = true)]
    BareSender(BenchBareSender),
    /// The reference server of event streams.
    #[command(hide = true)]
    BareStreams(BenchBareStreams),
}

impl Bench {
    /// Returns whether a measurement is selected.
    pub(crate) fn measures(&self, name: Measure) -> bool {
        self.names.is_empty() || self.names.contains(&name)
    }
}

/// The sizes of measurements with a choice.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Size {
    /// For `isolation`: pairs of requests for each comparison; minor comparisons use a tenth.
    #[arg(long, default_value_t = 200_000)]
    pub(crate) pairs: usize,
    /// For `lists`: sessions in the large database, by default a million. For `fleet`: sessions on
    /// one node, by default a thousand.
    #[arg(long)]
    pub(crate) sessions: Option<usize>,
    /// For `mixed`, `hooks` and `messages`: rounds of each server.
    #[arg(long, default_value_t = ROUNDS, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) rounds: usize,
    /// For `live`: idle streams. A tenth of this number gets the events of one organization, and a
    /// hundredth, at least 20, the events whose delay is measured.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) streams: usize,
    /// For `live`: stored events of the late reader. For `hooks`: stored events behind receivers.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) events: usize,
    /// For `hooks`: deliveries of a round to receivers that work, a multiple of 64.
    #[arg(long, default_value_t = 64_000)]
    pub(crate) deliveries: usize,
    /// For `messages`: items of a round that a stand-in node delivers, a multiple of 2,000.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) items: usize,
    /// For `messages`: texts of a round, of each session and in each direction.
    #[arg(long, default_value_t = 500, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) texts: usize,
    /// For `messages`: sessions of the node whose memory is measured.
    #[arg(long, default_value_t = 200, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) node_sessions: usize,
}

impl Size {
    /// Returns the number of streams that get the events of one organization.
    pub(crate) fn fan_out_streams(self) -> usize {
        (self.streams / 10).max(1)
    }

    /// Returns the number of streams whose delay is measured, a multiple of 20.
    pub(crate) fn delay_streams(self) -> usize {
        (self.streams / 100).next_multiple_of(20).max(20)
    }

    /// Returns the number of events per second whose delay is measured, by default 1,000.
    pub(crate) fn delay_rate(self) -> usize {
        self.delay_streams() * 10
    }
}

/// The measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// Time from the start of the process to ready.
    Start,
    /// Memory of berth and its gateway, and disk of the gateway.
    Memory,
    /// Memory and recovery of a node with many sessions; fails above its bounds.
    Fleet,
    /// Rate of `GET` of a session, beside hyper alone.
    Get,
    /// Rate of `GET` while lists are read and sessions are changed, beside hyper alone.
    Mixed,
    /// Latency at half of the load, beside hyper alone.
    Latency,
    /// Effect of waiting requests on other requests.
    Waits,
    /// Answers to one organization while another sends as many requests as possible, beside hyper
    /// alone.
    Fairness,
    /// Rate of created and deleted sessions, beside the database alone.
    Writes,
    /// Whether response times distinguish refusals; fails when they do.
    Isolation,
    /// Cost of lists with a million sessions; fails when a deep page costs more than a first page.
    Lists,
    /// Event streams: delay, fan-out, idle streams and late readers, beside hyper and the database
    /// alone.
    Live,
    /// Deliveries to webhooks: rate, delay, receivers that hang and receivers that come back, beside
    /// hyper alone.
    Hooks,
    /// Messages: the way into the store, texts in both directions, delay, memory of active chats, and
    /// `GET` beside messages; beside the database and the simulator alone.
    Messages,
}

impl Measure {
    /// Returns the name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Memory => "memory",
            Self::Fleet => "fleet",
            Self::Get => "get",
            Self::Mixed => "mixed",
            Self::Latency => "latency",
            Self::Waits => "waits",
            Self::Fairness => "fairness",
            Self::Writes => "writes",
            Self::Isolation => "isolation",
            Self::Lists => "lists",
            Self::Live => "live",
            Self::Hooks => "hooks",
            Self::Messages => "messages",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct BenchBare {
    /// Address of the listener.
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// File with the answer to every request.
    #[arg(long)]
    pub(crate) answer: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct BenchBareStreams {
    /// Address of the listener.
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// File with the blocks, a JSON list of texts.
    #[arg(long)]
    pub(crate) blocks: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct BenchBareSender {
    /// Address of the receiver.
    #[arg(long)]
    pub(crate) to: SocketAddr,
    /// File with the requests, a JSON list of texts.
    #[arg(long)]
    pub(crate) requests: PathBuf,
    /// Number of connections.
    #[arg(long)]
    pub(crate) connections: usize,
    /// Number of requests over all connections.
    #[arg(long)]
    pub(crate) count: usize,
}
