//! Whether those who wait for something are in the way of those who ask for something else.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};

use super::{
    Stand,
    aim::Aim,
    chapter::{Chapter, Table},
    load::{Load, Outcome},
    processor,
    spread::{Spread, float, number},
    waiting::{Nodeless, WAITING},
};

/// berth takes 1,024 connections at once.
const CONNECTIONS: usize = 16;
const WARM_UP: Duration = Duration::from_secs(2);
const ROUND: Duration = Duration::from_secs(4);
const ROUNDS: usize = 5;
/// After those that wait have come, or have gone.
const REST: Duration = Duration::from_secs(2);
/// Of what is answered while nobody waits.
const AIM: Aim = Aim::AtLeast(0.95);

/// One round's figures of one of the two.
#[derive(Clone, Copy, Debug)]
struct Turn {
    rate: f64,
    half: f64,
    most: f64,
    cost: f64,
}

/// Takes the figures.
pub(super) fn measure(stand: &Stand) -> Result<Chapter> {
    let berth = Nodeless::start(stand, "bench-waits")?;
    let (load, pid) = (berth.load(CONNECTIONS), berth.process()?);
    load.run(WARM_UP)?;
    let (mut alone, mut beside, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        alone.push(Turn::of(&load, pid)?);
        let waiting = berth.wait()?;
        thread::sleep(REST);
        let before = processor::time_of(pid)?;
        thread::sleep(ROUND);
        let used = processor::time_of(pid)?.saturating_sub(before);
        idle.push(used.as_secs_f64() * 1e3 / ROUND.as_secs_f64());
        beside.push(Turn::of(&load, pid)?);
        waiting.close()?;
        thread::sleep(REST);
        let rates = [&alone, &beside].map(|turns| turns[turns.len() - 1].rate);
        println!("  round {round} of {ROUNDS}: {:.0}/s and {:.0}/s", rates[0], rates[1]);
    }
    chapter(&alone, &beside, idle)
}

impl Turn {
    fn of(load: &Load, pid: u32) -> Result<Self> {
        let before = processor::time_of(pid)?;
        let outcome = load.run(ROUND)?;
        let used = processor::time_of(pid)?.saturating_sub(before).as_secs_f64();
        let millis = |outcome: &Outcome, percent| outcome.percentile(percent).as_secs_f64() * 1e3;
        Ok(Self {
            rate: outcome.rate(),
            half: millis(&outcome, 50),
            most: millis(&outcome, 99),
            cost: used * 1e6 / f64::from(outcome.count()),
        })
    }
}

fn chapter(alone: &[Turn], beside: &[Turn], idle: Vec<f64>) -> Result<Chapter> {
    let mut table = Table::new([
        "GET of a session",
        "requests/s",
        "of alone",
        "p50, ms",
        "p99, ms",
        "processor, µs/request",
    ]);
    let waiting = number(float(WAITING as u64), 0);
    let ratio = |turns: &[Turn]| {
        let pairs = turns.iter().zip(alone);
        Spread::of(pairs.map(|(turn, alone)| turn.rate / alone.rate)).context("no rounds")
    };
    for (name, turns) in
        [("alone".to_owned(), alone), (format!("while {waiting} others wait"), beside)]
    {
        let spread =
            |figure: fn(&Turn) -> f64| Spread::of(turns.iter().map(figure)).context("no rounds");
        let ratio = ratio(turns)?;
        table.row([
            name,
            spread(|turn| turn.rate)?.to_string(),
            format!("{:.2} ({})", ratio.median(), ratio.range(2)),
            format!("{:.2}", spread(|turn| turn.half)?),
            format!("{:.2}", spread(|turn| turn.most)?),
            format!("{:.1}", spread(|turn| turn.cost)?),
        ]);
    }
    let kept = ratio(beside)?.median();
    let idle = Spread::of(idle).context("no rounds")?;
    let findings = vec![
        AIM.judge(kept, &format!("While {waiting} wait: {kept:.2} of alone"), 2),
        format!("Waiting costs {idle} ms of processor time a second while nothing else is asked."),
    ];
    let title = "Asking while others wait";
    Ok(Chapter { title, method: method(&waiting), table, findings, broken: Vec::new() })
}

fn method(waiting: &str) -> String {
    format!(
        "Requests are as in *Asking for a session*, on SQLite, for a session that is not linked, over \
         {CONNECTIONS} connections: with {waiting} more there is room for them among the 1,024 that berth \
         takes. {ROUNDS} rounds, each of four seconds without anybody waiting, then with: {waiting} \
         connections ask `GET …/qr?wait=30` of ten sessions that no node takes, so that no code ever comes, \
         and ask again when they were told so; one that is answered sooner fails the measurement. They come \
         before their part of a round and hang up after it, with two seconds of rest either time. Shown are \
         the median of the rounds and their range; ratios are taken round by round."
    )
}
