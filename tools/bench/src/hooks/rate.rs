//! The rate of deliveries to receivers that work, beside hyper alone that sends the same requests.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use testbed::{client::Api, postgres::Cluster, webhook::Webhook};

use super::{
    deployment::{self, HookDeployment, act_on},
    recorder::{Recorder, steady_rate},
    usage::{Usage, UsageOfDeliveries},
};
use crate::{
    Setup,
    aim::Aim,
    bare_sender,
    figure::{ComparedFigure, Findings, shown},
    session_writer::SessionWriter,
    spread::{Spread, float, number},
};

pub(super) const ORGANIZATIONS: usize = 8;
pub(super) const WEBHOOKS: usize = 64;
/// Characters of a label of three bytes, so that an event has about 500 bytes.
const PADDING: usize = 70;
/// Pause between the writes and the deliveries, and after them until the last progress is written.
const REST: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(120);
/// Deliveries of the warm-up, by those of a round.
const WARM_UP: usize = 4;
/// Targets of the ratio to hyper alone, on SQLite and on PostgreSQL.
const RATIOS: [Aim; 2] = [Aim::AtLeast(0.6), Aim::AtLeast(0.5)];
/// Target of commits for 1,000 deliveries.
const COMMITS: Aim = Aim::AtMost(20.0);

/// A deployment with paused webhooks.
struct Paused {
    deployment: HookDeployment,
    owners: Vec<Api>,
    webhooks: Vec<Webhook>,
    recorder: Recorder,
}

/// A round of berth.
struct Delivered {
    rate: f64,
    /// For 1,000 deliveries.
    commits: f64,
    usage: UsageOfDeliveries,
    /// Number of connections that the receiver accepted.
    accepted: usize,
}

/// A round of hyper alone.
struct Sent {
    rate: f64,
    usage: UsageOfDeliveries,
}

/// Runs the measurement.
pub(super) fn measure(setup: &Setup, found: &mut Findings) -> Result<()> {
    for ((name, cluster), aim) in deployment::databases()?.into_iter().zip(RATIOS) {
        let paused = Paused::start(setup, cluster)?;
        paused.measure(setup, name, aim, found).with_context(|| paused.deployment.stack.tail())?;
    }
    Ok(())
}

impl Paused {
    fn start(setup: &Setup, cluster: Option<Cluster>) -> Result<Self> {
        let deployment = HookDeployment::start(setup, "rate", cluster)?;
        let recorder = Recorder::start(false)?;
        let owners = (0..ORGANIZATIONS).map(|number| deployment.owner(&format!("org-{number}")));
        let owners = owners.collect::<Result<Vec<_>>>()?;
        let mut webhooks = Vec::with_capacity(WEBHOOKS);
        for owner in &owners {
            let count = WEBHOOKS / ORGANIZATIONS;
            webhooks.extend(deployment::for_sessions(owner, &recorder, count)?);
        }
        act_on(&webhooks, ":pause")?;
        Ok(Self { deployment, owners, webhooks, recorder })
    }

    fn measure(&self, setup: &Setup, name: &str, aim: Aim, found: &mut Findings) -> Result<()> {
        let writer = self.deployment.writer(&self.owners, PADDING)?;
        let deliveries = setup.size.deliveries;
        self.deliver(&writer, deliveries / WARM_UP)?; // the journal grows, and connections open
        let (connections, _) = self.recorder.connections();
        let (mut rounds, mut alone) = (Vec::new(), Vec::new());
        for round in 1..=setup.size.rounds {
            println!("  rate on {name}, round {round} of {}", setup.size.rounds);
            rounds.push(self.deliver(&writer, deliveries)?);
            let samples = self.recorder.samples();
            alone.push(self.send_alone(setup, &samples, connections, deliveries)?);
        }
        let rates: Vec<_> = rounds.iter().map(|round| round.rate).collect();
        let sent: Vec<_> = alone.iter().map(|round| round.rate).collect();
        let figure = ComparedFigure::new(format!("rate, deliveries/s: {name}"), 0, &rates, &sent)?;
        let ratio = figure.median_ratio();
        let sentence = format!("{name}: {ratio:.2} of hyper alone over {connections} connections");
        found.sentences.push(aim.judge(ratio, &sentence, 2));
        found.figures.push(figure);
        let commits: Vec<_> = rounds.iter().map(|round| round.commits).collect();
        let title = format!("commits for 1,000 deliveries: {name}");
        let figure = ComparedFigure::new(title, 1, &commits, &[])?;
        let median = figure.berth.median();
        let sentence = format!("{name}: {} commits for 1,000 deliveries", number(median, 1));
        found.sentences.push(COMMITS.judge(median, &sentence, 0));
        found.figures.push(figure);
        found.sentences.push(self.limits(name, &rounds, &alone, deliveries)?);
        Ok(())
    }

    /// Creates sessions, resumes the webhooks, and waits for all deliveries, at least this number.
    fn deliver(&self, writer: &SessionWriter, deliveries: usize) -> Result<Delivered> {
        // Each organization gets as many sessions as the others.
        let each = WEBHOOKS / ORGANIZATIONS;
        let sessions = deliveries.div_ceil(each).next_multiple_of(ORGANIZATIONS);
        let deliveries = sessions * each;
        writer.write(sessions)?;
        thread::sleep(REST);
        self.recorder.clear();
        let process = self.deployment.process()?;
        let (commits, usage) = (self.deployment.commits()?, Usage::read(process)?);
        act_on(&self.webhooks, ":resume")?;
        self.recorder.until_count(deliveries, PATIENCE)?;
        let usage = usage.until(Usage::read(process)?, deliveries);
        thread::sleep(REST);
        let commits = self.deployment.commits()? - commits;
        act_on(&self.webhooks, ":pause")?;
        let arrivals = self.recorder.arrivals();
        ensure!(arrivals.len() == deliveries, "{} of {deliveries} deliveries", arrivals.len());
        Ok(Delivered {
            rate: steady_rate(&arrivals).context("too few deliveries")?,
            commits: commits * 1e3 / float(deliveries as u64),
            usage,
            accepted: self.recorder.connections().1,
        })
    }

    /// Lets hyper alone send requests.
    fn send_alone(
        &self,
        setup: &Setup,
        samples: &[Vec<u8>],
        connections: usize,
        count: usize,
    ) -> Result<Sent> {
        self.recorder.clear();
        let process = self.deployment.process()?;
        let usage = Usage::read(process)?;
        bare_sender::send(setup, self.recorder.address, samples, connections, count)?;
        let usage = usage.until(Usage::read(process)?, count);
        let rate = steady_rate(&self.recorder.arrivals()).context("too few requests")?;
        Ok(Sent { rate, usage })
    }

    /// Returns a sentence about what limits the rates.
    fn limits(
        &self,
        name: &str,
        rounds: &[Delivered],
        alone: &[Sent],
        deliveries: usize,
    ) -> Result<String> {
        let of_berth = |of: fn(&Delivered) -> f64| median(rounds.iter().map(of));
        let of_hyper = |of: fn(&Sent) -> f64| median(alone.iter().map(of));
        let (head, body) = sizes(&self.recorder.samples()).context("no request")?;
        Ok(format!(
            "{name}: a delivery takes {:.0} µs of processor time in berth and {:.0} µs in the \
             receiver, whose thread is busy {:.0} % of the time; the machine's cores are busy {:.0} \
             %. With hyper alone, the receiver's thread is busy {:.0} % and the cores {:.0} %. The \
             receiver accepted {} connections for {} deliveries. A request has {head} bytes before \
             its body of {body} bytes.",
            of_berth(|round| round.usage.berth)?,
            of_berth(|round| round.usage.receiver)?,
            of_berth(|round| round.usage.receiver_share(round.rate))?,
            of_berth(|round| round.usage.busy)?,
            of_hyper(|round| round.usage.receiver_share(round.rate))?,
            of_hyper(|round| round.usage.busy)?,
            number(of_berth(|round| float(round.accepted as u64))?, 0),
            shown(deliveries),
        ))
    }
}

fn median(values: impl Iterator<Item = f64>) -> Result<f64> {
    Spread::of(values).map(|spread| spread.median()).context("no rounds")
}

/// Returns the bytes of the head and of the body of the first request.
fn sizes(samples: &[Vec<u8>]) -> Option<(usize, usize)> {
    let request = samples.first()?;
    let head = request.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    Some((head, request.len() - head))
}
