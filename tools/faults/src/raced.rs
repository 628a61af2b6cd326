//! Deletes, stops, logouts and restarts at the moment at which a phone links.
//!
//! Afterwards no deleted session has a device, phone and API agree on every other session, and no
//! event contradicts the answers to the phones.

mod trial;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use testbed::{checks::Checks, parallel::run_on_threads, stack::Stack};

use self::trial::{Action, Ran, Trial};
use crate::{Plan, deployment::Deployment};

/// Number of simultaneous races.
const AT_ONCE: usize = 16;
/// Upper bound of the time to a stable state after the last race.
const SETTLING: Duration = Duration::from_secs(60);
/// Number of findings that are printed with the log of the session.
const SHOWN: usize = 5;

/// Runs the suite.
pub(crate) fn run(plan: &Plan, checks: &mut Checks) -> Result<String> {
    let count = plan.trials.unwrap_or(plan.extent.choose(200, 2_000));
    // Most sessions stay linked, and one node has room for all of them.
    let settings = [
        ("BERTH_PAIRING_RATE", "0".to_owned()),
        ("BERTH_GATEWAY_CAPACITY", count.max(1_000).to_string()),
    ];
    let deployment = Deployment::start(plan, "raced", &settings)?;
    let api = deployment.api.with_credential(Some(deployment.key("raced", &["manage"])?));
    let next = AtomicUsize::new(0);
    let ran = run_on_threads(AT_ONCE, |_| {
        let mut mine = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(mine);
            }
            let trial = Trial::of_seed(plan.seed, number);
            mine.push(trial.run(&api, &deployment.phones).with_context(|| trial.to_string())?);
        }
    })
    .map_err(|error| anyhow!("{error:#}\n{}", deployment.tail()))?;
    let findings = Findings::of(&ran, &deployment);
    let name = plan.database.name();
    checks.check(&format!("{name}: phone and API agree after each race"), || {
        must_be_none(&findings.disagreements)
    });
    checks.check(&format!("{name}: no event contradicts the phones"), || {
        must_be_none(&findings.contradicted)
    });
    checks.check(&format!("{name}: the races are won by either side"), || {
        ensure!(both_sides_win(&ran), "{}", findings.counts(&ran));
        Ok(())
    });
    Ok(findings.counts(&ran))
}

/// The findings, one text each.
#[derive(Debug, Default)]
struct Findings {
    disagreements: Vec<String>,
    contradicted: Vec<String>,
}

impl Findings {
    /// Waits until phone and API agree on every race, up to a deadline.
    fn of(ran: &[Ran], log: &Stack) -> Self {
        let end = Instant::now() + SETTLING;
        let mut findings = Self::default();
        for one in ran {
            let left = end.saturating_duration_since(Instant::now());
            let say = |error| format!("{}: {error:#}\n{}", one.trial, log.log_of(one.session_id()));
            findings.disagreements.extend(one.until_agreed(left).err().map(say));
            findings.contradicted.extend(one.must_match_events(left).err().map(say));
        }
        findings
    }

    fn counts(&self, ran: &[Ran]) -> String {
        let mut actions = BTreeMap::<Action, usize>::new();
        for one in ran {
            *actions.entry(one.trial.action).or_default() += 1;
        }
        let actions: Vec<_> = actions.iter().map(|(act, count)| format!("{count} {act}")).collect();
        format!(
            "{} races ({}), {} of which a phone won; {} disagreements, {} contradictions",
            ran.len(),
            actions.join(", "),
            ran.iter().filter(|one| one.linked()).count(),
            self.disagreements.len(),
            self.contradicted.len(),
        )
    }
}

fn must_be_none(findings: &[String]) -> Result<()> {
    let shown = &findings[..findings.len().min(SHOWN)];
    ensure!(findings.is_empty(), "{} races; some:\n{}", findings.len(), shown.join("\n"));
    Ok(())
}

/// Returns whether both sides win some races. Otherwise the actions come too early or too late to
/// test anything.
fn both_sides_win(ran: &[Ran]) -> bool {
    [true, false].into_iter().all(|linked| ran.iter().any(|one| one.linked() == linked))
}
