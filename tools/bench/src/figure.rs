//! Figures of berth beside those of a reference, as a row of the table.

use anyhow::{Context as _, Result};

use crate::spread::{Spread, float, number};

/// Rows of the table, and the sentences below.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) figures: Vec<ComparedFigure>,
    pub(crate) sentences: Vec<String>,
}

/// A row of the table with its conclusions.
pub(crate) struct ComparedFigure {
    pub(crate) name: String,
    pub(crate) berth: Spread,
    reference: Option<Spread>,
    /// Ratios of berth to the reference, round by round.
    ratio: Option<Spread>,
    decimals: usize,
}

impl ComparedFigure {
    /// Creates a row from figures of berth and of the reference, in the order of the rounds.
    pub(crate) fn new(
        name: String,
        decimals: usize,
        berth: &[f64],
        reference: &[f64],
    ) -> Result<Self> {
        let ratios = berth.iter().zip(reference).map(|(berth, reference)| berth / reference);
        Ok(Self {
            name,
            berth: Spread::of(berth.iter().copied()).context("no rounds")?,
            reference: Spread::of(reference.iter().copied()),
            ratio: Spread::of(ratios),
            decimals,
        })
    }

    /// Returns the cells: name, berth, reference and ratio, each with its range.
    pub(crate) fn row(&self) -> [String; 4] {
        let Self { name, berth, reference, ratio, decimals } = self;
        let shown = |spread: &Option<Spread>, decimals: usize| {
            spread.as_ref().map_or_else(String::new, |spread| format!("{spread:.decimals$}"))
        };
        let reference = shown(reference, *decimals);
        [name.clone(), format!("{berth:.decimals$}"), reference, shown(ratio, 2)]
    }

    /// Returns the median of the ratios; without a reference, of the figures.
    pub(crate) fn median_ratio(&self) -> f64 {
        self.ratio.as_ref().unwrap_or(&self.berth).median()
    }
}

/// Formats a count.
pub(crate) fn shown(count: usize) -> String {
    number(float(count as u64), 0)
}
