//! Servers under the same load in turn, round after round, so that disturbances of the machine
//! affect all of them.

use std::time::Duration;

use anyhow::{Context as _, Result};
use testbed::processor;

use crate::{
    load::{Load, Outcome},
    rounds::{ROUND, ROUNDS},
    spread::Spread,
    sqlite::Sqlite,
    statements::Statements,
    write_load::Writes,
};

/// Time in which pools fill and code gets into the caches.
const WARM_UP: Duration = Duration::from_secs(2);

/// A server under load.
#[derive(Debug)]
pub(crate) struct Target {
    /// Name in the table.
    pub(crate) name: String,
    subject: Subject,
    rounds: Vec<Round>,
}

/// The kind of a server and its load.
#[derive(Debug)]
enum Subject {
    /// A server over HTTP: process id and load.
    Http(u32, Load),
    /// A server over HTTP that is written to.
    Writes(u32, Writes),
    /// A database server, loaded by a program of its own.
    Database(Statements),
    /// A file without a server.
    File(Sqlite),
}

#[derive(Clone, Copy, Debug)]
struct Round {
    rate: f64,
    http: Option<Http>,
}

/// Figures of servers over HTTP.
#[derive(Clone, Copy, Debug)]
struct Http {
    half: Duration,
    most: Duration,
    /// Processor time of the server's process for each answer, in microseconds.
    cost: f64,
}

impl Target {
    /// Returns a target over HTTP with this process id.
    pub(crate) fn new(name: &str, pid: u32, load: Load) -> Self {
        Self { name: name.to_owned(), subject: Subject::Http(pid, load), rounds: Vec::new() }
    }

    /// Returns a target over HTTP that is written to.
    pub(crate) fn writes(name: &str, pid: u32, writes: Writes) -> Self {
        Self { name: name.to_owned(), subject: Subject::Writes(pid, writes), rounds: Vec::new() }
    }

    /// Returns a database server as target.
    pub(crate) fn database(name: &str, statements: Statements) -> Self {
        Self { name: name.to_owned(), subject: Subject::Database(statements), rounds: Vec::new() }
    }

    /// Returns a file as target.
    pub(crate) fn file(name: &str, file: Sqlite) -> Self {
        Self { name: name.to_owned(), subject: Subject::File(file), rounds: Vec::new() }
    }

    /// Runs a load that does not count.
    pub(crate) fn warm_up(&self) -> Result<()> {
        self.subject.run(WARM_UP).with_context(|| format!("{}, warming up", self.name))?;
        Ok(())
    }

    /// Runs the round of this number.
    pub(crate) fn round(&mut self, number: usize) -> Result<()> {
        let pid = self.subject.process();
        let before = pid.map(processor::time_of).transpose()?.unwrap_or_default();
        let (rate, outcome) = self.subject.run(ROUND).with_context(|| self.name.clone())?;
        let used = pid.map(processor::time_of).transpose()?.unwrap_or_default();
        let http = outcome.map(|outcome| Http {
            half: outcome.percentile(50),
            most: outcome.percentile(99),
            cost: used.saturating_sub(before).as_secs_f64() * 1e6 / f64::from(outcome.count()),
        });
        self.rounds.push(Round { rate, http });
        println!("  round {number} of {ROUNDS}: {} {rate:.0}/s", self.name);
        Ok(())
    }

    /// Returns answers per second.
    fn rate(&self) -> Result<Spread> {
        Spread::of(self.rounds.iter().map(|round| round.rate)).context("no rounds")
    }

    /// Returns p50 in milliseconds; `None` for targets without HTTP.
    fn half(&self) -> Option<Spread> {
        self.spread(|http| http.half.as_secs_f64() * 1e3)
    }

    /// Returns p99 in milliseconds; `None` for targets without HTTP.
    fn most(&self) -> Option<Spread> {
        self.spread(|http| http.most.as_secs_f64() * 1e3)
    }

    /// Returns the processor time for each answer in microseconds.
    fn cost(&self) -> Option<Spread> {
        self.spread(|http| http.cost)
    }

    /// Returns the ratio of the rate to that of another target, round by round.
    pub(crate) fn rate_by(&self, other: &Self) -> Result<Spread> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Spread::of(pairs.map(|(own, others)| own.rate / others.rate)).context("no rounds")
    }

    /// Returns a row: name, rate, ratio to the reference, p50, p99 and cost with this number of
    /// decimals.
    pub(crate) fn row(&self, yardstick: &Self, decimals: usize) -> Result<[String; 6]> {
        let ratio = self.rate_by(yardstick)?;
        let shown = |spread: Option<Spread>, decimals| {
            spread.map_or_else(String::new, |spread| format!("{spread:.decimals$}"))
        };
        Ok([
            self.name.clone(),
            self.rate()?.to_string(),
            format!("{:.2} ({})", ratio.median(), ratio.range(2)),
            shown(self.half(), 2),
            shown(self.most(), 2),
            shown(self.cost(), decimals),
        ])
    }

    fn spread(&self, figure: impl Fn(&Http) -> f64) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|round| round.http.as_ref()).map(figure))
    }
}

impl Subject {
    /// Returns the process id where the cost is measured.
    fn process(&self) -> Option<u32> {
        match self {
            Self::Http(pid, _) | Self::Writes(pid, _) => Some(*pid),
            Self::Database(_) | Self::File(_) => None,
        }
    }

    /// Returns answers per second, and the single answers where they are visible.
    fn run(&self, duration: Duration) -> Result<(f64, Option<Outcome>)> {
        let outcome = match self {
            Self::Http(_, load) => load.run(duration)?,
            Self::Writes(_, writes) => writes.run(duration)?,
            Self::Database(statements) => return Ok((statements.run(duration)?, None)),
            Self::File(file) => return Ok((file.run(duration)?, None)),
        };
        Ok((outcome.rate(), Some(outcome)))
    }
}

/// Warms up all targets and runs their rounds in turn.
pub(crate) fn ask_in_turn(targets: &mut [Target]) -> Result<()> {
    targets.iter().try_for_each(Target::warm_up)?;
    (1..=ROUNDS).try_for_each(|round| targets.iter_mut().try_for_each(|target| target.round(round)))
}
