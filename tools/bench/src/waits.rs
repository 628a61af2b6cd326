//! The effect of waiting requests on other requests.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use testbed::processor;

use crate::{
    Setup,
    aim::Aim,
    chapter::{Chapter, Table},
    rounds::{ROUND, ROUNDS},
    spread::{Spread, float, number},
    target::Target,
    waiting::{Nodeless, WAITING},
};

/// Connections of the load; few beside the maximum of berth.
const CONNECTIONS: usize = 16;
/// Pause after the waiting connections have opened or closed.
const REST: Duration = Duration::from_secs(2);
/// Target of the ratio to the rate without waiting connections.
const AIM: Aim = Aim::AtLeast(0.95);

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    let berth = Nodeless::start(setup, "bench-waits")?;
    let pid = berth.process()?;
    let target = |name: &str| Target::new(name, pid, berth.load(CONNECTIONS));
    let waiting = number(float(WAITING as u64), 0);
    let mut alone = target("alone");
    let mut beside = target(&format!("while {waiting} others wait"));
    let mut idle = Vec::new();
    alone.warm_up()?;
    for round in 1..=ROUNDS {
        alone.round(round)?;
        let connections = berth.wait()?;
        thread::sleep(REST);
        let before = processor::time_of(pid)?;
        thread::sleep(ROUND);
        let used = processor::time_of(pid)?.saturating_sub(before);
        idle.push(used.as_secs_f64() * 1e3 / ROUND.as_secs_f64());
        beside.round(round)?;
        connections.close()?;
        thread::sleep(REST);
    }
    chapter(&alone, &beside, idle, &waiting)
}

fn chapter(alone: &Target, beside: &Target, idle: Vec<f64>, waiting: &str) -> Result<Chapter> {
    let mut table = Table::new([
        "GET of a session",
        "requests/s",
        "of alone",
        "p50, ms",
        "p99, ms",
        "processor, µs/request",
    ]);
    for target in [alone, beside] {
        table.row(target.row(alone, 1)?);
    }
    let kept = beside.rate_by(alone)?.median();
    let idle = Spread::of(idle).context("no rounds")?;
    let findings = vec![
        AIM.judge(kept, &format!("While {waiting} wait: {kept:.2} of alone"), 2),
        format!(
            "The waiting connections cost {idle} ms of processor time per second without other requests."
        ),
    ];
    let title = "GET while other requests wait";
    Ok(Chapter { title, method: method(waiting), table, findings, broken: Vec::new() })
}

fn method(waiting: &str) -> String {
    format!(
        "Requests are as in *GET of a session*, on SQLite, for a session that is not linked, over \
         {CONNECTIONS} connections. {waiting} further connections fit into the 4,096 that berth \
         allows. Each of {ROUNDS} rounds has four seconds without waiting connections, then four \
         seconds with them: {waiting} connections send `GET …/qr?wait=30` for ten sessions without \
         a node, so that no code comes, and repeat the request after its time-out; an earlier \
         answer fails the measurement. The waiting connections open before their part of a round \
         and close after it, with a pause of two seconds each time. The table shows median and \
         range of the rounds; ratios are taken round by round."
    )
}
