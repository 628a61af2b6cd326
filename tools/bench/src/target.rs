//! Servers that are asked the same in turn, round after round, so that whatever else the machine does
//! meets all of them.

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

/// Long enough for pools to fill and for code to be in the caches.
const WARM_UP: Duration = Duration::from_secs(2);

/// A server under load.
#[derive(Debug)]
pub(crate) struct Target {
    /// As the table calls it.
    pub(crate) name: String,
    subject: Subject,
    rounds: Vec<Round>,
}

/// How a server is asked.
#[derive(Debug)]
enum Subject {
    /// Over HTTP; its process has this number.
    Http(u32, Load),
    /// The same, to write.
    Writes(u32, Writes),
    /// A database, by a program of its own.
    Database(Statements),
    /// No server at all.
    File(Sqlite),
}

#[derive(Clone, Copy, Debug)]
struct Round {
    rate: f64,
    http: Option<Http>,
}

/// What is known only of servers that are asked over HTTP.
#[derive(Clone, Copy, Debug)]
struct Http {
    half: Duration,
    most: Duration,
    /// Processor time of the server's process, an answer.
    cost: f64,
}

impl Target {
    /// One whose process is `pid`.
    pub(crate) fn new(name: &str, pid: u32, load: Load) -> Self {
        Self { name: name.to_owned(), subject: Subject::Http(pid, load), rounds: Vec::new() }
    }

    /// One whose process is `pid`, and that is written to.
    pub(crate) fn writes(name: &str, pid: u32, writes: Writes) -> Self {
        Self { name: name.to_owned(), subject: Subject::Writes(pid, writes), rounds: Vec::new() }
    }

    /// A database without anything in front of it.
    pub(crate) fn database(name: &str, statements: Statements) -> Self {
        Self { name: name.to_owned(), subject: Subject::Database(statements), rounds: Vec::new() }
    }

    /// A file without any server.
    pub(crate) fn file(name: &str, file: Sqlite) -> Self {
        Self { name: name.to_owned(), subject: Subject::File(file), rounds: Vec::new() }
    }

    /// Asks for a while that does not count.
    pub(crate) fn warm_up(&self) -> Result<()> {
        self.subject.run(WARM_UP).with_context(|| format!("{}, warming up", self.name))?;
        Ok(())
    }

    /// Asks for a round, the one of this number.
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

    /// Answers in a second.
    fn rate(&self) -> Result<Spread> {
        Spread::of(self.rounds.iter().map(|round| round.rate)).context("no rounds")
    }

    /// Milliseconds that half of the answers took at most; `None` of what is not asked over HTTP.
    fn half(&self) -> Option<Spread> {
        self.spread(|http| http.half.as_secs_f64() * 1e3)
    }

    /// Milliseconds that 99 of 100 answers took at most.
    fn most(&self) -> Option<Spread> {
        self.spread(|http| http.most.as_secs_f64() * 1e3)
    }

    /// Microseconds of processor time that the server's process took for an answer.
    fn cost(&self) -> Option<Spread> {
        self.spread(|http| http.cost)
    }

    /// Its rate by another's, round by round.
    pub(crate) fn rate_by(&self, other: &Self) -> Result<Spread> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Spread::of(pairs.map(|(own, others)| own.rate / others.rate)).context("no rounds")
    }

    /// Its name, its rate, that by a yardstick's, half, most and cost; of the last, so many decimals.
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
    /// The server's process, if what it costs is known.
    fn process(&self) -> Option<u32> {
        match self {
            Self::Http(pid, _) | Self::Writes(pid, _) => Some(*pid),
            Self::Database(_) | Self::File(_) => None,
        }
    }

    /// Answers in a second, and the answers themselves where they are seen one by one.
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

/// Warms all of them up, then asks them in turn.
pub(crate) fn ask_in_turn(targets: &mut [Target]) -> Result<()> {
    targets.iter().try_for_each(Target::warm_up)?;
    (1..=ROUNDS).try_for_each(|round| targets.iter_mut().try_for_each(|target| target.round(round)))
}
