//! A run of named scenarios over one deployment.

use anyhow::Result;
use testbed::{stack::Stack, tally::Tally};

/// Scenarios, counted; those that are not asked for are left out.
#[derive(Debug)]
pub(crate) struct Suite<'a> {
    tally: &'a mut Tally,
    place: String,
    only: &'a [String],
}

impl<'a> Suite<'a> {
    /// On this deployment; only scenarios whose name contains one of these, if there are any.
    pub(crate) fn new(tally: &'a mut Tally, place: &str, only: &'a [String]) -> Self {
        println!("\ncontract on {place}");
        Self { tally, place: place.to_owned(), only }
    }

    /// What the deployment is called.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Whether a scenario of this name is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }

    /// Runs a scenario, if it is asked for.
    pub(crate) fn run(&mut self, name: &str, scenario: impl FnOnce() -> Result<()>) -> bool {
        if !self.wants(name) {
            return true;
        }
        self.tally.check(&format!("{}: {name}", self.place), scenario)
    }

    /// Runs a scenario over a stack; shows the end of its log when that fails.
    pub(crate) fn run_on(
        &mut self,
        stack: &mut Stack,
        name: &str,
        scenario: impl FnOnce(&mut Stack) -> Result<()>,
    ) {
        if !self.run(name, || scenario(stack)) {
            println!("{}", stack.tail().replace('\n', "\n          | "));
        }
    }
}
