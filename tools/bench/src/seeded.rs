//! Databases that are filled before anything is measured: by SQL, with rows as the store writes them.

use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;
use testbed::{programs::SEED, workspace};

use crate::Setup;

/// How many sessions, of how many organizations, and how many of them the largest has.
pub(crate) type SeedSize = (usize, usize, usize);

/// Fills an empty database, and answers what can be found in it.
pub(crate) fn fill(setup: &Setup, url: &str, size: SeedSize) -> Result<Value> {
    let (sessions, organizations, largest) = size;
    println!("  seeding {sessions} sessions of {organizations} organizations");
    let mut seed = Command::new(setup.programs.program(SEED));
    seed.arg(url).args([sessions, organizations, largest].map(|count| count.to_string()));
    let found = serde_json::from_str(&workspace::answer(&mut seed)?)?;
    ensure!(workspace::answer(&mut seed).is_err(), "it seeds what holds somebody's sessions");
    Ok(found)
}
