//! Many phones that scan at once.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    Stand,
    aim::Aim,
    crowd::{scan, until_working},
    fleet,
    load::{Load, Outcome},
    resident::Resident,
    spread::{float, number},
};
use crate::{
    client::Api,
    sessions::{self, Owned, PATIENCE},
    stack::Stack,
};

const PHONES: usize = 200;
const QUIET: Duration = Duration::from_secs(10);
/// The load is taken in pieces: nobody knows beforehand how long the storm lasts.
const PIECE: Duration = Duration::from_secs(1);
/// What the node may hold at most, by what it holds afterwards; and answers' p99, by a quiet time's.
const TWICE: f64 = 2.0;

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storm {
    pub(super) phones: usize,
    /// Until all worked.
    pub(super) took: Duration,
    /// The gateway afterwards, and the most it held.
    pub(super) settled: Resident,
    /// What 99 of 100 answers took at most, before and meanwhile.
    pub(super) quiet: Duration,
    pub(super) stormy: Duration,
    /// How many answers that is of.
    pub(super) asked: [u32; 2],
}

/// Takes the figures.
pub(super) fn measure(stand: &Stand) -> Result<Storm> {
    println!("  linking {PHONES} sessions at once");
    let stack = fleet::start(stand, "bench-storm", PHONES + 1, &[])?;
    let api = stack.api.asked_by(Some(stack.key("bench", &["manage"])?));
    let asked = Owned::create(&api, "asked")?;
    asked.link(&stack.phones.new_phone("Asked")?).with_context(|| stack.tail())?;
    let load = load(&api, &asked)?;
    let gateway = fleet::node(&stack)?;
    load.run(PIECE)?;
    let quiet = load.run(QUIET)?;
    let (stormy, took) = storm(&stack, &api, &load)?;
    Ok(Storm {
        phones: PHONES,
        took,
        settled: Resident::settled(gateway)?,
        quiet: quiet.percentile(99),
        stormy: stormy.percentile(99),
        asked: [quiet.count(), stormy.count()],
    })
}

impl Storm {
    /// What came of it.
    pub(super) fn findings(&self) -> Vec<String> {
        let Self { phones, took, settled, quiet, stormy, asked } = self;
        let took = number(took.as_secs_f64(), 1);
        let peak = float(settled.peak) / float(settled.all);
        let held = format!(
            "{phones} phones that scanned at once were all linked after {took} s; the gateway held at most \
             {peak:.2} of what it held afterwards"
        );
        let slower = stormy.as_secs_f64() / quiet.as_secs_f64();
        let [stormy, quiet] = [stormy, quiet].map(|p99| number(p99.as_secs_f64() * 1e3, 1));
        let [of, of_quiet] = *asked;
        let answered = format!(
            "Meanwhile a session was answered in {stormy} ms (p99 of {of}), before in {quiet} ms (p99 of \
             {of_quiet}): {slower:.1} times that"
        );
        vec![
            Aim::AtMost(TWICE).judge(peak, &held, 2),
            Aim::AtMost(TWICE).judge(slower, &answered, 1),
        ]
    }
}

/// One session, asked for all the time.
fn load(api: &Api, session: &Owned) -> Result<Load> {
    let load = Load::of(api, [sessions::path(&session.id)], 4)?;
    ensure!(load.status == 200, "it is answered {}", load.status);
    Ok(Load { pause: Duration::from_millis(10), ..load })
}

fn storm(stack: &Stack, api: &Api, load: &Load) -> Result<(Outcome, Duration)> {
    let pairs = (0..PHONES)
        .map(|_| Ok((Owned::create(api, "bench")?, stack.phones.new_phone("Bench")?)))
        .collect::<Result<Vec<_>>>()?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut pieces = Vec::new();
            while !over.load(Ordering::Relaxed) {
                pieces.push(load.run(PIECE)?);
            }
            Outcome::joined(pieces).context("no answer was timed")
        });
        let began = Instant::now();
        let scanning: Vec<_> =
            pairs.iter().map(|(session, phone)| scope.spawn(|| scan(session, phone))).collect();
        let scanned = scanning
            .into_iter()
            .try_for_each(|one| one.join().unwrap_or_else(|_| bail!("a phone panicked")));
        let all = scanned.and_then(|()| until_working(api, PHONES + 1, PATIENCE));
        let took = began.elapsed();
        over.store(true, Ordering::Relaxed);
        let outcome = asking.join().unwrap_or_else(|_| bail!("who asks panicked"));
        all.with_context(|| stack.tail())?;
        Ok((outcome?, took))
    })
}
