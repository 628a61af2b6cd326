//! Databases that are filled before a measurement, by SQL, with rows in the form of the store.

use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;
use testbed::{programs::SEED, workspace};

use crate::Setup;

/// Number of sessions, of organizations, and of sessions of the largest organization.
pub(crate) type SeedSize = (usize, usize, usize);

/// Fills an empty database and returns the values for the requests.
pub(crate) fn fill(setup: &Setup, url: &str, size: SeedSize) -> Result<Value> {
    let (sessions, organizations, largest) = size;
    println!("  seeding {sessions} sessions of {organizations} organizations");
    let mut seed = Command::new(setup.programs.program(SEED));
    seed.arg(url).args([sessions, organizations, largest].map(|count| count.to_string()));
    let found = serde_json::from_str(&workspace::answer(&mut seed)?)?;
    ensure!(workspace::answer(&mut seed).is_err(), "`seed` fills a database that is not empty");
    Ok(found)
}
