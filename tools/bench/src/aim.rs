//! A figure beside its target. A missed target is reported and does not fail the run.

use crate::spread::number;

/// The target of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    /// A lower bound.
    AtLeast(f64),
    /// An upper bound.
    AtMost(f64),
}

impl Aim {
    /// Returns a sentence with the figure as `shown`, the target with this number of decimals, and
    /// whether the target is reached.
    pub(crate) fn judge(self, figure: f64, shown: &str, decimals: usize) -> String {
        let (reached, words, aim) = match self {
            Self::AtLeast(least) => (figure >= least, "at least", least),
            Self::AtMost(most) => (figure <= most, "at most", most),
        };
        let aim = number(aim, decimals);
        let verdict = if reached { "reached" } else { "**missed**" };
        format!("{shown}; target: {words} {aim}, {verdict}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_is_reached_or_missed() {
        let least = |figure| Aim::AtLeast(0.5).judge(figure, "so much", 2);
        assert_eq!(least(0.5), "so much; target: at least 0.50, reached.");
        assert_eq!(least(0.4999), "so much; target: at least 0.50, **missed**.");
        let most = |figure| Aim::AtMost(60_000.0).judge(figure, "much", 0);
        assert_eq!(most(60_000.0), "much; target: at most 60,000, reached.");
        assert_eq!(most(60_001.0), "much; target: at most 60,000, **missed**.");
    }
}
