//! Many phones that scan at the same time.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use testbed::{
    client::Api,
    resident::Resident,
    sessions::{self, Owned, PATIENCE},
    stack::Stack,
};

use crate::{
    Setup,
    aim::Aim,
    bare::Bare,
    large_node,
    linked_sessions::{scan, until_working},
    load::{Load, Outcome},
    spread::{Spread, float},
};

pub(crate) const PHONES: usize = 200;
pub(crate) const STORMS: usize = 5;
const QUIET: Duration = Duration::from_secs(10);
/// Duration of one piece of the load, because the duration of a storm is unknown.
const PIECE: Duration = Duration::from_secs(1);
/// Target of the ratio of the node's peak to its memory afterwards, and of p99 during the storm to
/// p99 before.
const TWICE: f64 = 2.0;

/// The result of one storm.
#[derive(Clone, Copy, Debug)]
struct Storm {
    /// Time until all sessions work.
    took: Duration,
    /// Memory of the gateway afterwards, with its peak.
    settled: Resident,
    berth: AnswerTimes,
    /// Answers of hyper alone at the same time: the effect of the machine.
    bare: AnswerTimes,
}

/// p99 of answers before and during a storm.
#[derive(Clone, Copy, Debug)]
struct AnswerTimes {
    quiet: Duration,
    stormy: Duration,
}

/// The results of all storms.
#[derive(Debug)]
pub(crate) struct Storms(Vec<Storm>);

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Storms> {
    let storms = (1..=STORMS).map(|number| {
        println!("  storm {number} of {STORMS}: linking {PHONES} sessions at once");
        Storm::raise(setup)
    });
    storms.collect::<Result<_>>().map(Storms)
}

impl Storms {
    /// Returns the memory of the node after the storm with the highest peak.
    pub(crate) fn settled(&self) -> Option<Resident> {
        self.0.iter().map(|storm| storm.settled).max_by_key(|settled| settled.peak)
    }

    /// Returns the conclusions.
    pub(crate) fn findings(&self) -> Result<Vec<String>> {
        let took = self.spread(|storm| storm.took.as_secs_f64())?;
        let peak = self.spread(|storm| float(storm.settled.peak) / float(storm.settled.all))?;
        let held = format!(
            "{PHONES} phones that scanned at the same time were linked after {took:.1} s; the peak of the \
             gateway's memory was {peak:.2} of its memory afterwards"
        );
        let (described, slower) = self.described(|storm| storm.berth)?;
        let answered = format!("During the storm, berth answered in {described}");
        let (described, _) = self.described(|storm| storm.bare)?;
        Ok(vec![
            Aim::AtMost(TWICE).judge(peak.median(), &held, 2),
            Aim::AtMost(TWICE).judge(slower.median(), &answered, 1),
            format!("Hyper alone, which takes no part in the storm, answered in {described}."),
        ])
    }

    /// Describes the answers of one server, and the ratio to the time before.
    fn described(&self, whose: fn(&Storm) -> AnswerTimes) -> Result<(String, Spread)> {
        let stormy = self.spread(|storm| whose(storm).stormy.as_secs_f64() * 1e3)?;
        let quiet = self.spread(|storm| whose(storm).quiet.as_secs_f64() * 1e3)?;
        let slower = self.spread(|storm| whose(storm).slower())?;
        let described =
            format!("{stormy:.1} ms (p99), before in {quiet:.1} ms: {slower:.1} times that");
        Ok((described, slower))
    }

    fn spread(&self, figure: impl Fn(&Storm) -> f64) -> Result<Spread> {
        Spread::of(self.0.iter().map(figure)).context("no storms")
    }
}

impl AnswerTimes {
    fn slower(&self) -> f64 {
        self.stormy.as_secs_f64() / self.quiet.as_secs_f64()
    }
}

impl Storm {
    fn raise(setup: &Setup) -> Result<Self> {
        let stack = large_node::start(setup, "bench-storm", PHONES + 1, &[])?;
        let api = stack.api.with_credential(Some(stack.key("bench", &["manage"])?));
        let asked = Owned::create(&api, "asked")?;
        asked.link(&stack.phones.new_phone("Asked")?).with_context(|| stack.tail())?;
        let path = sessions::path(&asked.id);
        let reply = api.send_raw("GET", &path, &[], None)?;
        let bare = Bare::start(setup, &reply)?;
        let load = Load { pause: Duration::from_millis(10), ..Load::of(&api, [path], 4)? };
        ensure!(load.status == 200, "status {}", load.status);
        let loads = [load.answered_by(bare.address, &reply.body), load];
        let gateway = large_node::process_of(&stack)?;
        ask_all(&loads, |load| load.run(PIECE))?;
        let quiet = ask_all(&loads, |load| load.run(QUIET))?;
        let (stormy, took) = storm(&stack, &api, &loads)?;
        let [bare, berth] = [0, 1].map(|which| AnswerTimes {
            quiet: quiet[which].percentile(99),
            stormy: stormy[which].percentile(99),
        });
        Ok(Self { took, settled: Resident::settled(gateway)?, berth, bare })
    }
}

/// Runs each load in a thread of its own at the same time.
fn ask_all(
    loads: &[Load; 2],
    ask: impl Fn(&Load) -> Result<Outcome> + Sync,
) -> Result<[Outcome; 2]> {
    thread::scope(|scope| {
        let [one, other] = loads.each_ref().map(|load| scope.spawn(|| ask(load)));
        let [one, other] =
            [one, other].map(|asking| asking.join().unwrap_or_else(|_| bail!("a load panicked")));
        Ok([one?, other?])
    })
}

fn storm(stack: &Stack, api: &Api, loads: &[Load; 2]) -> Result<([Outcome; 2], Duration)> {
    let pairs = (0..PHONES)
        .map(|_| Ok((Owned::create(api, "bench")?, stack.phones.new_phone("Bench")?)))
        .collect::<Result<Vec<_>>>()?;
    let over = AtomicBool::new(false);
    let until_over = |load: &Load| {
        let mut pieces = Vec::new();
        while !over.load(Ordering::Relaxed) {
            pieces.push(load.run(PIECE)?);
        }
        Outcome::joined(pieces).context("no answers")
    };
    thread::scope(|scope| {
        let asking = scope.spawn(|| ask_all(loads, until_over));
        let began = Instant::now();
        let scanning: Vec<_> =
            pairs.iter().map(|(session, phone)| scope.spawn(|| scan(session, phone))).collect();
        let scanned = scanning
            .into_iter()
            .try_for_each(|one| one.join().unwrap_or_else(|_| bail!("a phone panicked")));
        let all = scanned.and_then(|()| until_working(api, PHONES + 1, PATIENCE));
        let took = began.elapsed();
        over.store(true, Ordering::Relaxed);
        let outcomes = asking.join().unwrap_or_else(|_| bail!("a load panicked"));
        all.with_context(|| stack.tail())?;
        Ok((outcomes?, took))
    })
}
