//! The latency of answers at half of the maximum load.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::{
    Setup,
    aim::Aim,
    bare::Bare,
    chapter::{Chapter, Table},
    load::{Load, Outcome},
    scheduled,
    served::Served,
    spread::Spread,
};

const CONNECTIONS: usize = 32;
const WARM_UP: Duration = Duration::from_secs(2);
/// Duration of the load that measures the maximum.
const FULL: Duration = Duration::from_secs(3);
const ROUND: Duration = Duration::from_secs(5);
const ROUNDS: usize = 5;
/// Target of the ratio of p99 to p50.
const AIM: Aim = Aim::AtMost(5.0);

/// The rounds of one server.
struct Server {
    name: &'static str,
    load: Load,
    rounds: Vec<Outcome>,
}

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    let berth = Served::start(setup, "bench-latency", None, &[])?;
    let load = berth.load(&berth.api, CONNECTIONS)?;
    let bare = Bare::start(setup, &berth.reply)?;
    let as_bare = load.answered_by(bare.address, &berth.reply.body);
    let mut servers = [("hyper alone", as_bare), ("berth on SQLite", load)]
        .map(|(name, load)| Server { name, load, rounds: Vec::new() });
    for server in &servers {
        server.load.run(WARM_UP).context(server.name)?;
    }
    let mut rates = Vec::new();
    for round in 1..=ROUNDS {
        let rate = servers[1].load.run(FULL)?.rate() / 2.0;
        rates.push(rate);
        for server in &mut servers {
            let outcome = scheduled::run(&server.load, rate, ROUND).context(server.name)?;
            let [half, most] = [50, 99].map(|percent| millis(&outcome, percent * 10));
            let name = server.name;
            println!("  round {round} of {ROUNDS}: {name} at {rate:.0}/s: {half:.2}, {most:.2} ms");
            server.rounds.push(outcome);
        }
    }
    chapter(&servers, rates, berth.reply.body.len())
}

fn millis(outcome: &Outcome, permille: usize) -> f64 {
    outcome.permille(permille).as_secs_f64() * 1e3
}

fn chapter(servers: &[Server; 2], rates: Vec<f64>, bytes: usize) -> Result<Chapter> {
    let mut table =
        Table::new(["GET of a session", "p50, ms", "p99, ms", "p99.9, ms", "p99 by p50"]);
    for server in servers {
        let at = |permille| {
            Spread::of(server.rounds.iter().map(|outcome| millis(outcome, permille)))
                .context("no rounds")
        };
        table.row([
            server.name.to_owned(),
            format!("{:.2}", at(500)?),
            format!("{:.2}", at(990)?),
            format!("{:.2}", at(999)?),
            format!("{:.1}", server.tail()?),
        ]);
    }
    let [bare, berth] = servers;
    let rate = Spread::of(rates).context("no rounds")?;
    let (tail, environment) = (berth.tail()?.median(), bare.tail()?.median());
    let sentence =
        format!("berth's p99 is {tail:.1} of its p50, hyper's alone {environment:.1} of its own");
    let findings = vec![
        format!("Half of the maximum rate on {CONNECTIONS} connections: {rate} requests/s."),
        AIM.judge(tail, &sentence, 1),
    ];
    let title = "Latency at half of the load";
    Ok(Chapter { title, method: method(bytes), table, findings, broken: Vec::new() })
}

impl Server {
    /// Returns the ratio of p99 to p50, round by round.
    fn tail(&self) -> Result<Spread> {
        let rounds = self.rounds.iter();
        Spread::of(rounds.map(|outcome| millis(outcome, 990) / millis(outcome, 500)))
            .context("no rounds")
    }
}

fn method(bytes: usize) -> String {
    format!(
        "`GET` as in *GET of a session*, {bytes} bytes, on SQLite, with a log line for each \
         request. In each of {ROUNDS} rounds, {CONNECTIONS} connections first send as many \
         requests as berth answers for three seconds; then berth and hyper alone each get half of \
         that rate for five seconds. Each request has a planned time, evenly spaced, the \
         connections in turn. Its latency counts from the planned time to the complete answer, \
         even if the request is sent late. Delays of the client's threads are in the figures of \
         both servers; hyper alone shows the effect of the machine. The table shows median and \
         range of the rounds."
    )
}
