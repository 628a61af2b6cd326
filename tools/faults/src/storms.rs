//! `kill -9` at random moments of random operations on one deployment.

use anyhow::{Result, anyhow};
use testbed::{checks::Checks, random::Random};

use crate::{Plan, deployment::Deployment, kill::strike_at_random};

/// Runs the suite, one kill after the other: each outcome is verified before the next kill.
pub(crate) fn run(plan: &Plan, checks: &mut Checks) -> Result<String> {
    let count = plan.trials.unwrap_or(plan.extent.choose(20, 225));
    let mut deployment = Deployment::start(plan, "storms", &[])?;
    let api = deployment.api.with_credential(Some(deployment.key("storms", &["manage"])?));
    let mut random = Random::seeded(plan.seed, 0);
    let mut held = 0;
    for number in 1..=count {
        let name = format!("{}: kill {number} of {count}", plan.database.name());
        let withstood = checks.check(&name, || {
            strike_at_random(&mut deployment, &api, &mut random)
                .map_err(|error| anyhow!("{error:#}\n{}", deployment.tail()))
        });
        held += usize::from(withstood);
    }
    Ok(format!("{held} of {count} kills withstood"))
}
