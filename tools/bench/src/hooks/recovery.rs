//! A receiver that comes back, with many events behind it.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    recorder::{Answering, steady_rate},
    stored::StoredEvents,
};
use crate::{
    Setup,
    aim::Aim,
    bare_sender,
    figure::{ComparedFigure, Findings},
    session_writer::now,
    spread::{float, number},
};

/// Duration for which deliveries are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(8);
/// Requests in flight of one webhook.
pub(super) const IN_FLIGHT: usize = 8;
const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);
/// Target of the milliseconds from `:resume` to the first delivery.
const FIRST: Aim = Aim::AtMost(10_000.0);

/// Runs the measurement.
pub(super) fn measure(
    setup: &Setup,
    name: &str,
    stored: &StoredEvents,
    found: &mut Findings,
) -> Result<()> {
    let (mut first, mut rates, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    // Every round has further events.
    let most = setup.size.events / (setup.size.rounds + 1);
    for round in 1..=setup.size.rounds {
        println!("  recovery on {name}, round {round} of {}", setup.size.rounds);
        stored.break_off()?;
        let resumed = stored.come_back()?;
        stored.count(most);
        stored.webhook.act(":pause")?;
        let arrivals = stored.recorder.arrivals();
        let at = arrivals.first().context("no deliveries")?.at;
        first.push(float(at.saturating_sub(resumed)) / 1e6);
        rates.push(steady_rate(&arrivals).context("too few deliveries")?);
        let samples = stored.recorder.samples();
        thread::sleep(Duration::from_secs(1)); // the last requests end
        stored.recorder.clear();
        let address = stored.recorder.address;
        bare_sender::send(setup, address, &samples, IN_FLIGHT, arrivals.len())?;
        alone.push(steady_rate(&stored.recorder.arrivals()).context("too few requests")?);
    }
    let title = format!("recovery, ms from `:resume` to the first delivery: {name}");
    let figure = ComparedFigure::new(title, 1, &first, &[])?;
    let median = figure.berth.median();
    let sentence = format!("{}: {}", figure.name, number(median, 0));
    found.sentences.push(FIRST.judge(median, &sentence, 0));
    found.figures.push(figure);
    let title = format!("recovery, deliveries/s of one webhook: {name}");
    found.figures.push(ComparedFigure::new(title, 0, &rates, &alone)?);
    Ok(())
}

impl StoredEvents {
    /// Rejects requests until berth makes no more.
    fn break_off(&self) -> Result<()> {
        self.recorder.answer(Answering::Reject);
        self.webhook.act(":resume")?;
        self.webhook.until("the receiver is failing", |state| state["state"] == "failing")?;
        Ok(())
    }

    /// Takes requests, resumes the webhook, and waits for the first delivery. Returns the time of the
    /// request in nanoseconds since 1970.
    fn come_back(&self) -> Result<u64> {
        self.recorder.clear();
        self.recorder.answer(Answering::Take);
        let resumed = now();
        self.webhook.act(":resume")?;
        self.recorder.until_count(1, PATIENCE)?;
        Ok(resumed)
    }

    /// Waits for the end of the window, or for this number of deliveries.
    fn count(&self, most: usize) {
        let began = Instant::now();
        while began.elapsed() < WINDOW && self.recorder.count() < most {
            thread::sleep(POLL);
        }
    }
}
