//! The answers to one organization while another one sends as many requests as possible.

use std::time::Duration;

use anyhow::{Context as _, Result};
use testbed::{
    parallel::run_on_threads,
    sessions::{self, Owned},
};

use crate::{
    Setup,
    aim::Aim,
    bare::Bare,
    chapter::{Chapter, Table},
    connection::request,
    flood::{Flood, StatusCounts},
    load::{Load, Outcome},
    scheduled,
    served::Served,
    spread::{Spread, float, number},
};

/// Connections of the moderate organization, and its requests per second.
const CONNECTIONS: usize = 8;
const RATE: f64 = 100.0;
/// Connections of the greedy organization.
const GREEDY: usize = 256;
const WARM_UP: Duration = Duration::from_secs(2);
const ROUND: Duration = Duration::from_secs(5);
const ROUNDS: usize = 5;
/// Target of the ratio of berth's p99 to the p99 of hyper alone at the same moments.
const AIM: Aim = Aim::AtMost(2.0);

/// The answers of both servers in one circumstance, round by round: hyper alone, then berth.
#[derive(Debug, Default)]
struct Rounds(Vec<[Outcome; 2]>);

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    let berth = Served::start(setup, "bench-fairness", None, &[])?;
    let bare = Bare::start(setup, &berth.reply)?;
    let load = berth.load(&berth.api, CONNECTIONS)?;
    let loads = [load.answered_by(bare.address, &berth.reply.body), load];
    let greedy = berth.stack.api.with_credential(Some(berth.stack.key("greedy", &["manage"])?));
    let path = sessions::path(&Owned::create(&greedy, "greedy")?.id);
    let address = loads[1].address;
    let flood = || {
        let asked = request("GET", address, &path, greedy.credential());
        Flood::start(address, GREEDY, vec![asked])
    };
    ask(&loads, WARM_UP)?;
    let (mut quiet, mut loaded) = (Rounds::default(), Rounds::default());
    let mut answers = StatusCounts::new();
    for round in 1..=ROUNDS {
        quiet.0.push(ask(&loads, ROUND)?);
        let flood = flood();
        let reply = ask(&loads, ROUND);
        for (code, count) in flood.stop()? {
            *answers.entry(code).or_default() += count;
        }
        loaded.0.push(reply.context("beside a greedy organization")?);
        let [bare, berth] = [0, 1].map(|which| millis(&loaded.0[round - 1][which], 99));
        println!("  round {round} of {ROUNDS}: p99 {berth:.2} ms, hyper alone {bare:.2} ms");
    }
    chapter(&quiet, &loaded, &answers)
}

/// Sends requests to both servers at the same time.
fn ask(loads: &[Load; 2], duration: Duration) -> Result<[Outcome; 2]> {
    let reply = run_on_threads(2, |which| {
        Ok(vec![(which, scheduled::run(&loads[which], RATE, duration)?)])
    })?;
    let mut reply = reply.into_iter();
    let mut next = || reply.next().map(|(_, outcome)| outcome).context("no outcome");
    Ok([next()?, next()?])
}

fn millis(outcome: &Outcome, percent: usize) -> f64 {
    outcome.percentile(percent).as_secs_f64() * 1e3
}

impl Rounds {
    fn spread(&self, of: impl Fn(&[Outcome; 2]) -> f64) -> Result<Spread> {
        Spread::of(self.0.iter().map(of)).context("no rounds")
    }

    /// Returns the ratio of berth's p99 to the p99 of hyper alone, round by round.
    fn slower(&self) -> Result<Spread> {
        self.spread(|[bare, berth]| millis(berth, 99) / millis(bare, 99))
    }

    fn row(&self, name: &str) -> Result<Vec<String>> {
        let of = |which: usize, percent| self.spread(|both| millis(&both[which], percent));
        Ok(vec![
            name.to_owned(),
            format!("{:.2}", of(1, 50)?),
            format!("{:.2}", of(1, 99)?),
            format!("{:.2}", of(0, 50)?),
            format!("{:.2}", of(0, 99)?),
            format!("{:.2}", self.slower()?),
        ])
    }
}

fn chapter(quiet: &Rounds, loaded: &Rounds, answers: &StatusCounts) -> Result<Chapter> {
    let mut table = Table::new([
        "GET of a session",
        "p50, ms",
        "p99, ms",
        "hyper's p50, ms",
        "hyper's p99, ms",
        "p99 by hyper's",
    ]);
    table.row(quiet.row("nobody else")?);
    table.row(loaded.row("beside a greedy organization")?);
    let slower = loaded.slower()?.median();
    let sentence = format!("Beside a greedy organization, berth's p99 is {slower:.2} of hyper's");
    let findings = vec![AIM.judge(slower, &sentence, 1), described(answers)];
    let title = "Answers beside a greedy organization";
    Ok(Chapter { title, method: method(), table, findings, broken: Vec::new() })
}

fn described(answers: &StatusCounts) -> String {
    let seconds = ROUND.as_secs_f64() * float(ROUNDS as u64);
    let described = answers.iter().map(|(code, count)| {
        let code = if code.is_empty() { "no answer" } else { code };
        format!("{}/s {code}", number(float(*count as u64) / seconds, 0))
    });
    format!("The greedy organization was answered {}.", described.collect::<Vec<_>>().join(", "))
}

fn method() -> String {
    format!(
        "`GET` of a session on SQLite over {CONNECTIONS} open connections, {RATE:.0} requests per \
         second with planned times as in *Latency at half of the load*; hyper alone gets the same \
         requests at the same time on the same cores. Each of {ROUNDS} rounds has five seconds \
         without, and five seconds with another organization that sends as many requests as \
         possible over {GREEDY} connections, whatever the answers. Rate limits are off. The table \
         shows median and range of the rounds; ratios are taken round by round."
    )
}
