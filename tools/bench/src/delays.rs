//! Delays of events, in rounds.

use anyhow::{Result, ensure};

use crate::{
    aim::Aim,
    figure::{ComparedFigure, Findings},
    spread::{float, number},
};

const PERCENTILES: [usize; 2] = [50, 99];

/// Delays in milliseconds, for p50 and p99, of each round.
#[derive(Debug, Default)]
pub(crate) struct DelayRounds([Vec<f64>; 2]);

impl DelayRounds {
    /// Adds the delays of a round in nanoseconds; at least one.
    pub(crate) fn add(&mut self, mut delays: Vec<u64>) -> Result<()> {
        ensure!(!delays.is_empty(), "no events");
        delays.sort_unstable();
        for (rounds, percent) in self.0.iter_mut().zip(PERCENTILES) {
            let rank = (delays.len() * percent).div_ceil(100).max(1);
            rounds.push(float(delays[rank - 1]) / 1e6);
        }
        Ok(())
    }

    /// Appends a row for each percentile, and with targets its sentences.
    pub(crate) fn describe(
        &self,
        name: &str,
        reference: Option<&Self>,
        aims: Option<[Aim; 2]>,
        found: &mut Findings,
    ) -> Result<()> {
        for (which, percent) in PERCENTILES.into_iter().enumerate() {
            let name = format!("delay, ms: {name}, p{percent}");
            let reference = reference.map_or(&[][..], |reference| &reference.0[which]);
            let figure = ComparedFigure::new(name, 2, &self.0[which], reference)?;
            if let Some(aims) = &aims {
                let median = figure.berth.median();
                let sentence = format!("{}: {}", figure.name, number(median, 2));
                found.sentences.push(aims[which].judge(median, &sentence, 0));
            }
            found.figures.push(figure);
        }
        Ok(())
    }

    /// Returns the p99 of each round in milliseconds.
    pub(crate) fn p99(&self) -> &[f64] {
        &self.0[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_round_are_measured_values() {
        let mut rounds = DelayRounds::default();
        rounds.add((1..=200).rev().map(|ms| ms * 1_000_000).collect()).unwrap();
        rounds.add(vec![7_000_000]).unwrap();
        assert!(rounds.add(Vec::new()).is_err());
        assert_eq!(format!("{:?}", rounds.0), "[[100.0, 7.0], [198.0, 7.0]]");
        let mut found = Findings::default();
        let aims = Some([Aim::AtMost(50.0), Aim::AtMost(150.0)]);
        rounds.describe("here", None, aims, &mut found).unwrap();
        assert_eq!(
            found.figures[1].row(),
            ["delay, ms: here, p99", "102.50 (7.00–198.00)", "", ""]
        );
        assert!(
            found.sentences[0].contains("**missed**") && found.sentences[1].contains("reached")
        );
    }
}
