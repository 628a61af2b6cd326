//! The time from a commit to its delivery, at the router that commits and at another one.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use testbed::{client::Api, http, postgres::Cluster, router::Router};

use super::{
    deployment::{self, HookDeployment, sum_of},
    recorder::Recorder,
};
use crate::{
    Setup, aim::Aim, delays::DelayRounds, figure::Findings, session_writer::SessionWriter,
    spread::float,
};

pub(super) const ORGANIZATIONS: usize = 10;
/// Sessions per second.
pub(super) const RATE: usize = 200;
/// Duration of a round in seconds.
const ROUND: usize = 4;
/// Upper bound of the time to the last delivery after the round.
const PATIENCE: Duration = Duration::from_secs(30);
/// The targets of p50 and p99 in milliseconds, at the router that commits.
const AIMS: [Aim; 2] = [Aim::AtMost(10.0), Aim::AtMost(60.0)];
const ATTEMPTS: &str = "berth_webhook_attempts_total";

/// A router whose organizations have a webhook each.
struct Delivering {
    deployment: HookDeployment,
    recorder: Recorder,
    writer: SessionWriter,
    owners: Vec<Api>,
}

/// Runs the measurement.
pub(super) fn measure(setup: &Setup, found: &mut Findings) -> Result<()> {
    let [(_, none), (_, cluster)] = deployment::databases()?;
    let (sqlite, postgres) = (Delivering::start(setup, none)?, Delivering::start(setup, cluster)?);
    let mut rounds: [DelayRounds; 3] = Default::default();
    let [of_sqlite, committing, elsewhere] = &mut rounds;
    for round in 1..=setup.size.rounds {
        println!("  delay, round {round} of {}", setup.size.rounds);
        for (measured, rounds) in [(&sqlite, &mut *of_sqlite), (&postgres, &mut *committing)] {
            measured.warm_up()?;
            rounds.add(measured.delays()?)?;
        }
    }
    // The leases last while there are deliveries, so the other router never gets one.
    let other = Router::start(&postgres.deployment.stack, "other")?;
    for round in 1..=setup.size.rounds {
        println!("  delay from another router, round {round} of {}", setup.size.rounds);
        elsewhere.add(postgres.delays_of_another(&other)?)?;
    }
    let [of_sqlite, committing, elsewhere] = &rounds;
    for (name, rounds, aims) in [
        ("SQLite", of_sqlite, Some(AIMS)),
        ("PostgreSQL, router that commits", committing, Some(AIMS)),
        ("PostgreSQL, other router", elsewhere, None),
    ] {
        rounds.describe(name, None, aims, found)?;
    }
    Ok(())
}

impl Delivering {
    fn start(setup: &Setup, cluster: Option<Cluster>) -> Result<Self> {
        let deployment = HookDeployment::start(setup, "hook-delay", cluster)?;
        let recorder = Recorder::start(true)?;
        let owners = (0..ORGANIZATIONS).map(|number| deployment.owner(&format!("org-{number}")));
        let owners = owners.collect::<Result<Vec<_>>>()?;
        for owner in &owners {
            deployment::for_sessions(owner, &recorder, 1)?;
        }
        let writer = deployment.writer(&owners, 0)?;
        Ok(Self { deployment, recorder, writer, owners })
    }

    /// Delivers for a second.
    fn warm_up(&self) -> Result<()> {
        delays(&self.writer, &self.recorder, 1).map(drop)
    }

    /// Returns the delays of a round in nanoseconds.
    fn delays(&self) -> Result<Vec<u64>> {
        delays(&self.writer, &self.recorder, ROUND).with_context(|| self.deployment.stack.tail())
    }

    /// Returns the delays of a round in which another router commits.
    fn delays_of_another(&self, other: &Router) -> Result<Vec<u64>> {
        // Without an attempt there is no such metric.
        let attempts =
            || Ok::<_, anyhow::Error>(sum_of(&other.metrics()?, ATTEMPTS).unwrap_or(0.0));
        let before = attempts()?;
        let key = self.owners[0].credential();
        let address: SocketAddr = http::address(other.with_credential(key).base())?;
        let writer = SessionWriter { address, ..self.writer.clone() };
        let delays = delays(&writer, &self.recorder, ROUND)?;
        let own = attempts()? - before;
        ensure!(own < 0.5, "the router that commits delivered {own} events itself");
        Ok(delays)
    }
}

/// Creates sessions on the schedule for some seconds and returns the delays of the deliveries in
/// nanoseconds.
pub(super) fn delays(
    writer: &SessionWriter,
    recorder: &Recorder,
    seconds: usize,
) -> Result<Vec<u64>> {
    recorder.clear();
    let count = RATE * seconds;
    let answers = writer.write_on_schedule(float(RATE as u64), count)?;
    recorder.until_count(count, PATIENCE)?;
    let arrivals = recorder.arrivals().into_iter();
    arrivals
        .map(|arrival| {
            let number = arrival.label.context("a delivery without a label")?;
            let answered = usize::try_from(number).ok().and_then(|number| answers.get(number));
            Ok(arrival.at.saturating_sub(*answered.context("a delivery of nobody")?))
        })
        .collect()
}
