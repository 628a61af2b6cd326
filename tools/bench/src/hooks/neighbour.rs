//! The deliveries of one organization while the receivers of another hang.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use testbed::{resident::Resident, wait};

use super::{
    delay,
    deployment::{self, act_on},
    recorder::Answering,
    stored::StoredEvents,
};
use crate::{
    Setup,
    aim::Aim,
    delays::DelayRounds,
    figure::{ComparedFigure, Findings, shown},
    spread::{Spread, float, number},
};

/// Number of webhooks whose receiver hangs.
pub(super) const WEBHOOKS: usize = 20;
/// Duration of a measurement in seconds; two of them fit into the time limit of a request.
const ROUND: usize = 4;
/// Pause after the receivers hang or stop hanging.
const REST: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(30);
/// Targets: p99 by that without the others, and further megabytes of berth.
const DELAY: Aim = Aim::AtMost(1.5);
const MEMORY: Aim = Aim::AtMost(64.0);

/// The rounds with the other organization's webhooks paused, or hanging.
#[derive(Default)]
struct NeighbourRounds {
    delays: DelayRounds,
    /// Resident memory of berth in MB.
    memory: Vec<f64>,
}

/// Runs the measurement.
pub(super) fn measure(
    setup: &Setup,
    name: &str,
    stored: &StoredEvents,
    found: &mut Findings,
) -> Result<()> {
    let owners = [stored.neighbour.clone()];
    let writer = stored.deployment.writer(&owners, 0)?;
    let webhooks = deployment::for_sessions(&owners[0], &stored.recorder, 1)?;
    let process = stored.deployment.process()?;
    let run = |rounds: &mut NeighbourRounds| {
        rounds.delays.add(delay::delays(&writer, &stored.recorder, ROUND)?)?;
        rounds.memory.push(float(Resident::of(process)?.all) / 1024.0);
        Ok::<_, anyhow::Error>(())
    };
    delay::delays(&writer, &stored.recorder, 1)?;
    let (mut alone, mut beside) = (NeighbourRounds::default(), NeighbourRounds::default());
    let mut hanging = Vec::new();
    for round in 1..=setup.size.rounds {
        println!("  neighbour on {name}, round {round} of {}", setup.size.rounds);
        run(&mut alone)?;
        stored.hang()?;
        hanging.push(float(stored.silent.hanging() as u64));
        run(&mut beside).context("beside receivers that hang")?;
        stored.end_hanging()?;
    }
    act_on(&webhooks, ":pause")?;
    describe(setup, name, &alone, &beside, found)?;
    let hanging = Spread::of(hanging).context("no rounds")?;
    found.sentences.push(format!("Neighbour, {name}: {hanging} requests hang at the start."));
    Ok(())
}

impl StoredEvents {
    /// Resumes the webhooks whose receiver hangs, and waits until requests hang.
    fn hang(&self) -> Result<()> {
        self.silent.answer(Answering::Hang);
        act_on(&self.hanging, ":resume")?;
        wait::until_true("requests hang", PATIENCE, || Ok(self.silent.hanging() >= WEBHOOKS))
            .with_context(|| format!("{} requests hang", self.silent.hanging()))?;
        thread::sleep(REST);
        Ok(())
    }

    /// Pauses these webhooks, and ends their requests.
    fn end_hanging(&self) -> Result<()> {
        act_on(&self.hanging, ":pause")?;
        thread::sleep(REST);
        self.silent.answer(Answering::Reject);
        wait::until_true("no request hangs", PATIENCE, || Ok(self.silent.hanging() == 0))?;
        thread::sleep(REST);
        Ok(())
    }
}

fn describe(
    setup: &Setup,
    name: &str,
    alone: &NeighbourRounds,
    beside: &NeighbourRounds,
    found: &mut Findings,
) -> Result<()> {
    let [of_beside, of_alone] = [beside, alone].map(|rounds| rounds.delays.p99());
    let title = format!("neighbour, p99 in ms: {name}, beside receivers that hang, and alone");
    let figure = ComparedFigure::new(title, 2, of_beside, of_alone)?;
    let ratio = figure.median_ratio();
    let sentence = format!("Neighbour, {name}: p99 is {ratio:.2} of that alone");
    found.sentences.push(DELAY.judge(ratio, &sentence, 1));
    found.figures.push(figure);
    let title = format!("neighbour, MB of berth: {name}, beside receivers that hang, and alone");
    found.figures.push(ComparedFigure::new(title, 1, &beside.memory, &alone.memory)?);
    let first = alone.memory.first().context("no rounds")?;
    let more = beside.memory.iter().copied().fold(0.0, f64::max) - first;
    let sentence = format!(
        "Neighbour, {name}: with {} events behind receivers that hang, berth takes at most {} MB \
         more than in the first round alone",
        shown(setup.size.events),
        number(more, 1),
    );
    found.sentences.push(MEMORY.judge(more, &sentence, 0));
    Ok(())
}
