//! Processor time during deliveries: which program takes how much, and whether the cores are busy.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use testbed::processor;

use crate::spread::float;

/// Processor time so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    berth: Duration,
    /// Of this process, which contains the receiver.
    receiver: Duration,
    /// Ticks of all cores, and those of them without work.
    all: u64,
    idle: u64,
}

/// The processor time of deliveries.
#[derive(Clone, Copy, Debug)]
pub(super) struct UsageOfDeliveries {
    /// Microseconds of berth and of the receiver for each delivery.
    pub(super) berth: f64,
    pub(super) receiver: f64,
    /// Percentage of the cores that worked.
    pub(super) busy: f64,
}

impl Usage {
    /// Reads the present values.
    pub(super) fn read(berth: u32) -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let (all, idle) = ticks(&stat).context("unknown format of /proc/stat")?;
        let [berth, receiver] = [berth, std::process::id()].map(processor::time_of);
        Ok(Self { berth: berth?, receiver: receiver?, all, idle })
    }

    /// Returns the usage from `self` to `later`.
    pub(super) fn until(self, later: Self, deliveries: usize) -> UsageOfDeliveries {
        let each = |before: Duration, after: Duration| {
            after.saturating_sub(before).as_secs_f64() * 1e6 / float(deliveries as u64)
        };
        let (all, idle) = (later.all - self.all, later.idle - self.idle);
        UsageOfDeliveries {
            berth: each(self.berth, later.berth),
            receiver: each(self.receiver, later.receiver),
            busy: 100.0 * (1.0 - float(idle) / float(all.max(1))),
        }
    }
}

impl UsageOfDeliveries {
    /// Returns the percentage of the time in which the receiver works at this rate of deliveries per
    /// second.
    pub(super) fn receiver_share(&self, rate: f64) -> f64 {
        self.receiver * rate / 1e4
    }
}

/// Returns the ticks of all cores, and those without work: the fields `idle` and `iowait`.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    // The fields after `steal` are parts of others.
    let fields: Vec<u64> = fields.take(8).map_while(|field| field.parse().ok()).collect();
    Some((fields.iter().sum(), fields.get(3)? + fields.get(4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_ticks_are_a_part_of_all() {
        let stat = "cpu  10 1 20 300 40 5 6 7 100 100\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(ticks(stat), Some((389, 340)));
        assert_eq!(ticks("intr 1"), None);
        let usage = |ms, all, idle| {
            let time = Duration::from_millis(ms);
            Usage { berth: time, receiver: time / 10, all, idle }
        };
        let used = usage(100, 1_000, 200).until(usage(200, 1_400, 300), 1_000);
        assert!((used.receiver_share(50_000.0) - 50.0).abs() < 1e-9);
        let UsageOfDeliveries { berth, receiver, busy } = used;
        let all = [berth, receiver, busy].map(|value| format!("{value:.1}"));
        assert_eq!(all, ["100.0", "10.0", "75.0"]);
        assert!(Usage::read(std::process::id()).is_ok());
    }
}
