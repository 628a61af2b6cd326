//! `GET`s by key while lists are read and sessions are changed: what a cache or a batcher is worth
//! when other requests commit.

mod changes;
mod deployment;
mod owner;
mod traffic;

use anyhow::{Context as _, Result, bail};
use testbed::postgres::Cluster;

use self::{
    deployment::{FREQUENT, ORGANIZATIONS, PopulatedStack, READERS, SHOWN},
    owner::SESSIONS,
    traffic::{CHANGES, LISTS, Traffic, TrafficOutcome},
};
use crate::{
    Setup,
    aim::Aim,
    bare::Bare,
    chapter::{Chapter, Table},
    load::Outcome,
    rounds::ROUND,
    spread::Spread,
};

/// Target of the ratio of the `GET`s on SQLite to those of hyper alone.
const AIM: Aim = Aim::AtLeast(0.25);

/// A server with its requests and its rounds.
#[derive(Debug)]
struct LoadedServer {
    name: String,
    pid: u32,
    traffic: Traffic,
    rounds: Vec<TrafficOutcome>,
}

/// A figure of a round.
type Figure = fn(&TrafficOutcome) -> f64;

/// The figures of a comparison of two builds.
const FIGURES: [(&str, Figure); 6] = [
    ("GETs per second", |round| round.gets.rate()),
    ("p50 of GET", |round| millis(&round.gets, 50)),
    ("p99 of GET", |round| millis(&round.gets, 99)),
    ("p50 of a change", |round| millis(&round.changes, 50)),
    ("p99 of a change", |round| millis(&round.changes, 99)),
    ("processor time per request", |round| round.cost),
];

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    let cluster = Cluster::start_durable()?;
    let builds = [("", Some(&setup.programs)), ("other build", setup.against.as_ref())];
    let mut stacks = Vec::new();
    for (build, programs) in builds.iter().filter_map(|(name, it)| Some((*name, (*it)?))) {
        for (engine, database) in
            [("SQLite", None), ("PostgreSQL", Some(format!("mixed{}", stacks.len())))]
        {
            let url = database.map(|name| cluster.create_database(&name)).transpose()?;
            let folder = format!("bench-mixed-{}", stacks.len());
            let stack = PopulatedStack::start(setup, programs, &folder, url)?;
            let name = if build.is_empty() { "berth" } else { build };
            stacks.push((format!("{name} on {engine}"), stack));
        }
    }
    let (_, first) = stacks.first().context("no programs")?;
    let bare = Bare::start(setup, &first.reply)?;
    let as_bare = first.traffic()?.answered_by(bare.address, &first.reply.body);
    let mut servers = vec![LoadedServer::new("hyper alone", bare.id(), as_bare)];
    for (name, stack) in &stacks {
        servers.push(LoadedServer::new(name, stack.process()?, stack.traffic()?));
    }
    for server in &servers {
        server
            .traffic
            .run(server.pid, ROUND)
            .with_context(|| format!("{}, warming up", server.name))?;
    }
    for round in 1..=setup.size.rounds {
        servers.iter_mut().try_for_each(|server| server.round(round, setup.size.rounds))?;
    }
    chapter(&servers, first.reply.body.len(), setup.size.rounds)
}

fn millis(outcome: &Outcome, percent: usize) -> f64 {
    outcome.percentile(percent).as_secs_f64() * 1e3
}

fn chapter(servers: &[LoadedServer], bytes: usize, rounds: usize) -> Result<Chapter> {
    let mut table = Table::new([
        "mixed load",
        "GETs/s",
        "of hyper alone",
        "GET p50, ms",
        "p99, ms",
        "list p50, ms",
        "p99, ms",
        "change p50, ms",
        "p99, ms",
        "processor, µs/request",
    ]);
    let bare = servers.first().context("no servers")?;
    for server in servers {
        table.row(server.row(bare)?);
    }
    let [_, sqlite, postgres, others @ ..] = servers else {
        bail!("the servers differ from those started");
    };
    let ratio = sqlite.by(bare, FIGURES[0].1)?.median();
    let sentence = format!("On SQLite: {ratio:.2} of the `GET`s of hyper alone");
    let mut findings = vec![AIM.judge(ratio, &sentence, 2)];
    for (berth, other) in [sqlite, postgres].into_iter().zip(others) {
        let figures = FIGURES.iter().map(|(name, figure)| {
            let ratio = berth.by(other, *figure)?;
            Ok(format!("{name} {:.2} ({})", ratio.median(), ratio.range(2)))
        });
        let figures = figures.collect::<Result<Vec<_>>>()?.join(", ");
        findings.push(format!("{} by {}: {figures}.", berth.name, other.name));
    }
    let title = "GET of a session under a mixed load";
    Ok(Chapter { title, method: method(bytes, rounds), table, findings, broken: Vec::new() })
}

impl LoadedServer {
    fn new(name: &str, pid: u32, traffic: Traffic) -> Self {
        Self { name: name.to_owned(), pid, traffic, rounds: Vec::new() }
    }

    fn round(&mut self, number: usize, rounds: usize) -> Result<()> {
        let outcome = self.traffic.run(self.pid, ROUND).with_context(|| self.name.clone())?;
        let (gets, changes) = (outcome.gets.rate(), millis(&outcome.changes, 99));
        println!(
            "  round {number} of {rounds}: {} {gets:.0}/s, changes {changes:.1} ms",
            self.name
        );
        self.rounds.push(outcome);
        Ok(())
    }

    fn spread(&self, figure: Figure) -> Result<Spread> {
        Spread::of(self.rounds.iter().map(figure)).context("no rounds")
    }

    /// Returns the ratio of a figure to that of another server, round by round.
    fn by(&self, other: &Self, figure: Figure) -> Result<Spread> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Spread::of(pairs.map(|(own, others)| figure(own) / figure(others))).context("no rounds")
    }

    fn row(&self, yardstick: &Self) -> Result<Vec<String>> {
        let ratio = self.by(yardstick, FIGURES[0].1)?;
        Ok(vec![
            self.name.clone(),
            self.spread(FIGURES[0].1)?.to_string(),
            format!("{:.2} ({})", ratio.median(), ratio.range(2)),
            format!("{:.2}", self.spread(|round| millis(&round.gets, 50))?),
            format!("{:.2}", self.spread(|round| millis(&round.gets, 99))?),
            format!("{:.2}", self.spread(|round| millis(&round.lists, 50))?),
            format!("{:.2}", self.spread(|round| millis(&round.lists, 99))?),
            format!("{:.2}", self.spread(|round| millis(&round.changes, 50))?),
            format!("{:.2}", self.spread(|round| millis(&round.changes, 99))?),
            format!("{:.1}", self.spread(|round| round.cost)?),
        ])
    }
}

fn method(bytes: usize, rounds: usize) -> String {
    let (sessions, half) = (ORGANIZATIONS * SESSIONS, 100 / FREQUENT);
    format!(
        "Three loads at the same time over HTTP/1.1, on {sessions} sessions of {ORGANIZATIONS} \
         organizations, each with one API key. `GET /api/v1/sessions/{{session}}`: {READERS} open \
         connections, each with one request at a time, in random order; half of the requests are \
         for {half} % of the sessions. A body has about {bytes} bytes; another status, or a body \
         that is not of the requested session, fails the measurement. Lists: {LISTS:.0} per \
         second, the first page of {SHOWN} sessions of each organization in turn. Changes: \
         {CHANGES:.0} per second; a quarter creates a session, half change the label of another, \
         random session, and a quarter deletes a created session. Lists and changes have planned \
         times, from which their latency counts. No session is linked, so no background work \
         follows. All settings have their defaults: every request writes a log line to a file. \
         *hyper alone* gets the same requests and answers all of them with the bytes of one \
         session. PostgreSQL has `fsync` on. After four seconds of warm-up, the servers take turns \
         in {rounds} rounds of four seconds. The table shows median and range of the rounds; ratios are \
         taken round by round. The last column counts the server's own process, on PostgreSQL \
         without the database. `--against FOLDER` adds another build of the programs to the same \
         run, and the ratio of each figure to that of the other build."
    )
}
