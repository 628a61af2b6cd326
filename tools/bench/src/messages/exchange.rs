//! The simulator alone: pairs of accounts with the engine, without berth, which exchange texts.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::{programs::EXCHANGE, workspace};

use super::conversations::CONVERSATIONS;
use crate::Setup;

/// Lets pairs exchange texts and returns the texts per second.
pub(super) fn rate(setup: &Setup, texts: usize) -> Result<f64> {
    let program = setup.programs.program(EXCHANGE);
    ensure!(program.is_file(), "there is no {EXCHANGE} beside the programs");
    let mut exchange = Command::new(program);
    exchange.args(["--texts", &texts.to_string(), "--pairs", &CONVERSATIONS.to_string()]);
    rate_in(&workspace::answer(&mut exchange)?)
}

fn rate_in(output: &str) -> Result<f64> {
    let line: Value = serde_json::from_str(output)?;
    line["perSecond"].as_f64().with_context(|| format!("no rate: {output}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_read_from_the_output() {
        let rate = rate_in("{\"perSecond\":267.5,\"seconds\":0.75,\"texts\":200}\n").unwrap();
        assert_eq!(rate.to_bits(), 267.5_f64.to_bits());
        assert!(rate_in("{}").is_err());
    }
}
