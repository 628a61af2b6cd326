//! `GET`s, lists and changes that are sent to one server at the same time.

use std::{net::SocketAddr, thread, time::Duration};

use anyhow::{Result, anyhow};
use testbed::processor;

use super::changes::Changes;
use crate::{
    load::{Load, Outcome},
    scheduled::{self, HEAD_START},
};

/// Changes per second.
pub(crate) const CHANGES: f64 = 200.0;
/// Lists per second.
pub(crate) const LISTS: f64 = 100.0;

/// The requests for one server.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    /// As many as the server answers.
    pub(super) gets: Load,
    /// At a fixed rate.
    pub(super) lists: Load,
    /// At a fixed rate.
    pub(super) changes: Changes,
}

/// The answers of one round.
#[derive(Clone, Debug)]
pub(crate) struct TrafficOutcome {
    pub(crate) gets: Outcome,
    pub(crate) lists: Outcome,
    pub(crate) changes: Outcome,
    /// Processor time of the server's process for each answer of any kind, in microseconds.
    pub(crate) cost: f64,
}

impl Traffic {
    /// Returns the same requests for a server that answers all of them with this body.
    pub(crate) fn answered_by(&self, address: SocketAddr, body: &[u8]) -> Self {
        Self {
            gets: self.gets.answered_by(address, body),
            lists: self.lists.answered_by(address, body),
            changes: self.changes.answered_by(address),
        }
    }

    /// Sends the requests to the server with this process id. A wrong answer is an error.
    pub(crate) fn run(&self, pid: u32, duration: Duration) -> Result<TrafficOutcome> {
        let before = processor::time_of(pid)?;
        let (gets, lists, changes) = thread::scope(|scope| {
            let lists = scope.spawn(|| scheduled::run(&self.lists, LISTS, duration));
            let changes = scope.spawn(|| self.changes.run(CHANGES, duration));
            thread::sleep(HEAD_START); // all kinds begin together
            let gets = self.gets.run(duration);
            (gets, joined(lists), joined(changes))
        });
        let (gets, lists, changes) = (gets?, lists?, changes?);
        let used = processor::time_of(pid)?.saturating_sub(before);
        let count = f64::from(gets.count()) + f64::from(lists.count()) + f64::from(changes.count());
        let cost = used.as_secs_f64() * 1e6 / count;
        Ok(TrafficOutcome { gets, lists, changes, cost })
    }
}

fn joined(thread: thread::ScopedJoinHandle<'_, Result<Outcome>>) -> Result<Outcome> {
    thread.join().map_err(|_| anyhow!("a load panicked"))?
}
