//! Deletes, stops, logouts and restarts around the moment at which a phone links.
//!
//! Afterwards no deleted session has a device, phone and API agree on every other session, and no
//! event contradicts what the phones were told.

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

/// So many trials run at the same time.
const AT_ONCE: usize = 16;
/// How long all of them together may take to settle after the last one.
const SETTLING: Duration = Duration::from_secs(60);
/// So many findings are printed, each with the log of its session.
const SHOWN: usize = 5;

/// Runs the suite.
pub(crate) fn run(plan: &Plan, checks: &mut Checks) -> Result<String> {
    let count = plan.trials.unwrap_or(plan.extent.choose(200, 2_000));
    // Most sessions stay linked to the end, and one node has room for all of them.
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
            let trial = Trial::thrown(plan.seed, number);
            mine.push(trial.run(&api, &deployment.phones).with_context(|| trial.to_string())?);
        }
    })
    .map_err(|error| anyhow!("{error:#}\n{}", deployment.tail()))?;
    let findings = Findings::of(&ran, &deployment);
    let name = plan.database.name();
    checks.check(&format!("{name}: phone and API agree after each race"), || {
        must_be_none(&findings.apart)
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

/// What is wrong with the trials, a line each.
#[derive(Debug, Default)]
struct Findings {
    apart: Vec<String>,
    contradicted: Vec<String>,
}

impl Findings {
    /// Waits until phone and API agree on every trial, or the time to settle is up.
    fn of(ran: &[Ran], log: &Stack) -> Self {
        let end = Instant::now() + SETTLING;
        let mut findings = Self::default();
        for one in ran {
            let left = end.saturating_duration_since(Instant::now());
            let say = |error| format!("{}: {error:#}\n{}", one.trial, log.log_of(one.session_id()));
            findings.apart.extend(one.until_agreed(left).err().map(say));
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
            "{} races ({}), {} of which a phone won; {} end apart, {} contradictions",
            ran.len(),
            actions.join(", "),
            ran.iter().filter(|one| one.linked()).count(),
            self.apart.len(),
            self.contradicted.len(),
        )
    }
}

fn must_be_none(findings: &[String]) -> Result<()> {
    let shown = &findings[..findings.len().min(SHOWN)];
    ensure!(findings.is_empty(), "{} races; some:\n{}", findings.len(), shown.join("\n"));
    Ok(())
}

/// A suite whose actions always come too early or always too late would pass whatever berth does.
fn both_sides_win(ran: &[Ran]) -> bool {
    [true, false].into_iter().all(|linked| ran.iter().any(|one| one.linked() == linked))
}
