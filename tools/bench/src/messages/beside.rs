//! `GET` of a session while messages flow into the store, beside the same without messages.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use testbed::{postgres::Cluster, sessions};

use super::{
    databases,
    prepared::{self, PreparedBatch},
    stand_in::StandIn,
};
use crate::{
    Setup,
    aim::Aim,
    bare::Bare,
    figure::{ComparedFigure, Findings, shown},
    load::Load,
    rounds::ROUND,
    scheduled::{MAX_DELAY, due},
    spread::float,
};

/// Connections of the requests.
pub(super) const CONNECTIONS: usize = 16;
/// Messages per second.
pub(super) const RATE: usize = 500;
/// Messages of a request of the node, each of another session.
pub(super) const ITEMS: usize = 25;
/// Target of the ratio to the rate without messages.
const AIM: Aim = Aim::AtLeast(0.8);
const WARM_UP: Duration = Duration::from_secs(2);

/// The rates of all rounds.
#[derive(Debug, Default)]
struct GetRounds {
    beside: Vec<f64>,
    quiet: Vec<f64>,
    bare_beside: Vec<f64>,
    bare_quiet: Vec<f64>,
}

/// Runs the measurement.
pub(super) fn measure(setup: &Setup, found: &mut Findings) -> Result<()> {
    for (name, cluster) in databases()? {
        measure_on(setup, name, cluster, found)?;
    }
    Ok(())
}

fn measure_on(
    setup: &Setup,
    name: &str,
    cluster: Option<Cluster>,
    found: &mut Findings,
) -> Result<()> {
    let node = StandIn::start(setup, "beside", cluster, ITEMS)?;
    let path = sessions::path(node.sessions.first().context("no sessions")?);
    let reply = node.owner.send_raw("GET", &path, &[], None)?.expect(200)?;
    let bare = Bare::start(setup, &reply)?;
    let get = Load::of(&node.owner, [path], CONNECTIONS)?;
    let bare_get = get.answered_by(bare.address, &reply.body);
    let (mut rounds, mut sequence) = (GetRounds::default(), 0);
    run_beside(&node, &get, WARM_UP, &mut sequence)?;
    for round in 1..=setup.size.rounds {
        println!("  GET beside messages on {name}, round {round} of {}", setup.size.rounds);
        rounds.quiet.push(get.run(ROUND)?.rate());
        let beside = run_beside(&node, &get, ROUND, &mut sequence);
        rounds.beside.push(beside.with_context(|| node.stack.tail())?);
        rounds.bare_quiet.push(bare_get.run(ROUND)?.rate());
        rounds.bare_beside.push(run_beside(&node, &bare_get, ROUND, &mut sequence)?);
    }
    rounds.describe(name, found)
}

/// Runs a load while the node delivers messages, and returns the answers per second. `sequence` is
/// the number of the last item of each session.
fn run_beside(node: &StandIn, get: &Load, duration: Duration, sequence: &mut usize) -> Result<f64> {
    let rate = float(RATE as u64) / float(ITEMS as u64);
    let mut batches = Vec::new();
    while due(batches.len(), rate) < duration {
        // Each request has one item of every session.
        batches.push(prepared::batch(node, &node.sessions, *sequence, *sequence, 1));
        *sequence += 1;
    }
    thread::scope(|scope| {
        let flow = scope.spawn(|| deliver(node, &batches, rate));
        let outcome = get.run(duration);
        flow.join().map_err(|_| anyhow!("the node panicked"))??;
        Ok(outcome?.rate())
    })
}

/// Delivers batches on a schedule.
fn deliver(node: &StandIn, batches: &[PreparedBatch], rate: f64) -> Result<()> {
    let mut connection = node.connect(true)?;
    let start = Instant::now();
    for (number, batch) in batches.iter().enumerate() {
        let after = due(number, rate);
        thread::sleep((start + after).saturating_duration_since(Instant::now()));
        connection.deliver(&batch.body, node.sessions.len(), batch.through)?;
        let late = start.elapsed().saturating_sub(after);
        ensure!(late < MAX_DELAY, "berth does not keep up with {RATE} messages a second");
    }
    Ok(())
}

impl GetRounds {
    fn describe(&self, name: &str, found: &mut Findings) -> Result<()> {
        let rate = shown(RATE);
        let title = format!("GET/s beside {rate} messages/s, and without: {name}");
        let figure = ComparedFigure::new(title, 0, &self.beside, &self.quiet)?;
        let ratio = figure.median_ratio();
        let sentence = format!("{}: {ratio:.2}", figure.name);
        found.sentences.push(AIM.judge(ratio, &sentence, 2));
        found.figures.push(figure);
        let title = format!("hyper alone, beside berth's {rate} messages/s: {name}");
        let bare = ComparedFigure::new(title, 0, &self.bare_beside, &self.bare_quiet)?;
        found.figures.push(bare);
        Ok(())
    }
}
