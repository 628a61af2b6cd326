//! Comparison of two samples of durations: Welch's t-test of trimmed samples.
//!
//! The tails come from the machine: timers, other processes, page faults. Both samples are trimmed
//! at the same two quantiles of the joint sample, so that the trimming favours neither. A |t| of
//! 4.5 occurs by chance about seven times in a million.

/// |t| above which the samples differ.
pub(crate) const LIMIT: f64 = 4.5;
/// Part that is trimmed at each end of the joint sample.
const TAIL: f64 = 0.05;

/// The result of a comparison, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// Sizes of the trimmed samples.
    pub(crate) counts: [usize; 2],
    /// Means of the trimmed samples.
    pub(crate) means: [f64; 2],
    /// Standard error of the difference of the means.
    pub(crate) error: f64,
}

impl Verdict {
    /// Compares two samples in nanoseconds.
    pub(crate) fn of(one: &[u32], other: &[u32]) -> Self {
        let mut all: Vec<_> = one.iter().chain(other).copied().collect();
        all.sort_unstable();
        let at = |part: f64| {
            // Ranks of some hundred thousand values are exact in a double.
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a rank among at most some millions"
            )]
            let rank = (part * all.len() as f64) as usize;
            all.get(rank.min(all.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        let (from, to) = (at(TAIL), at(1.0 - TAIL));
        let moments = [one, other].map(|sample| {
            let kept = sample.iter().filter(|took| (from..=to).contains(*took));
            Moments::of(kept.map(|took| f64::from(*took)))
        });
        Self {
            counts: moments.map(|m| m.count),
            means: moments.map(|m| m.mean),
            error: moments.iter().map(Moments::error_squared).sum::<f64>().sqrt(),
        }
    }

    /// Returns the difference of the means; positive when the first takes longer.
    pub(crate) fn difference(&self) -> f64 {
        self.means[0] - self.means[1]
    }

    /// Returns Welch's t; infinite for a difference without any spread.
    pub(crate) fn t(&self) -> f64 {
        if self.difference() == 0.0 { 0.0 } else { self.difference() / self.error }
    }

    /// Returns the smallest difference that would have been detected.
    pub(crate) fn detectable(&self) -> f64 {
        LIMIT * self.error
    }
}

/// Mean and variance, updated value by value (Welford).
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: usize,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        values.fold(Self::default(), |mut moments, value| {
            moments.count += 1;
            let away = value - moments.mean;
            moments.mean += away / moments.weight();
            moments.squares += away * (value - moments.mean);
            moments
        })
    }

    fn weight(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "at most some millions")]
        let weight = self.count as f64;
        weight
    }

    /// Returns the squared standard error of the mean.
    fn error_squared(&self) -> f64 {
        self.squares / (self.weight() - 1.0).max(1.0) / self.weight().max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testbed::random::Random;

    /// An approximately normal sample with a long tail.
    fn sample(random: &mut Random, around: u32, count: usize) -> Vec<u32> {
        let tens: Vec<u32> = (0..1_000).collect();
        let throw = |random: &mut Random| (0..8).map(|_| *random.choose(&tens)).sum::<u32>();
        (0..count)
            .map(|n| {
                around + throw(random) + if n % 50 == 0 { 100 * *random.choose(&tens) } else { 0 }
            })
            .collect()
    }

    #[test]
    fn equal_samples_pass_and_a_small_difference_is_found() {
        let mut random = Random::new().unwrap();
        let one = sample(&mut random, 100_000, 50_000);
        let same = Verdict::of(&one, &sample(&mut random, 100_000, 50_000));
        assert!(same.t().abs() < LIMIT, "{same:?}");
        let more = Verdict::of(&sample(&mut random, 100_100, 50_000), &one);
        assert!(more.t() > LIMIT && more.difference() > 50.0, "{more:?}");
        assert!(more.detectable() < 50.0, "{more:?}");
    }

    #[test]
    fn t_follows_welch() {
        let (one, other) = ([1, 2, 3, 4, 5], [3, 5, 7, 9, 11, 13]);
        let verdict = Verdict::of(&one, &other);
        // The trimming drops nothing below, and keeps the largest of eleven.
        assert_eq!(verdict.counts, [5, 6]);
        // (3 - 8) / sqrt(2.5 / 5 + 14 / 6)
        assert!((verdict.t() + 2.970_44).abs() < 1e-4, "{verdict:?}");
    }

    #[test]
    fn equal_constant_samples_have_no_difference() {
        assert!(Verdict::of(&[5, 5, 5], &[5, 5, 5]).t() == 0.0);
    }
}
