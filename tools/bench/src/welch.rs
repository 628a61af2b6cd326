//! Whether two things take the same time: Welch's t of what is left when both tails are cut.
//!
//! The tails are the machine's: a timer, another process, a page that was not in memory. Both samples
//! are cut at the same two moments, quantiles of the two together, so that cutting favours neither.
//! A |t| of 4.5 comes by chance about seven times in a million.

/// Where a difference begins.
pub(crate) const LIMIT: f64 = 4.5;
/// The part cut off at either end, of both samples together.
const TAIL: f64 = 0.05;

/// What came of a comparison; times in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// How many of either were left.
    pub(crate) counts: [usize; 2],
    /// Their means.
    pub(crate) means: [f64; 2],
    /// The standard error of the difference of the means.
    pub(crate) error: f64,
}

impl Verdict {
    /// Of these two samples, in nanoseconds.
    pub(crate) fn of(one: &[u32], other: &[u32]) -> Self {
        let mut all: Vec<_> = one.iter().chain(other).copied().collect();
        all.sort_unstable();
        let at = |part: f64| {
            // Of some hundred thousand: exact in a double, and never negative.
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

    /// How much longer the first takes.
    pub(crate) fn difference(&self) -> f64 {
        self.means[0] - self.means[1]
    }

    /// Welch's t; without any spread no difference is infinitely sure.
    pub(crate) fn t(&self) -> f64 {
        if self.difference() == 0.0 { 0.0 } else { self.difference() / self.error }
    }

    /// The least difference that would have been one.
    pub(crate) fn detectable(&self) -> f64 {
        LIMIT * self.error
    }
}

/// Mean and variance, gathered one by one (Welford).
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

    /// Of the mean.
    fn error_squared(&self) -> f64 {
        self.squares / (self.weight() - 1.0).max(1.0) / self.weight().max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testbed::random::Random;

    /// About bell-shaped around this, with a long tail now and then.
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
    fn the_same_is_the_same_and_a_little_more_is_more() {
        let mut random = Random::new().unwrap();
        let one = sample(&mut random, 100_000, 50_000);
        let same = Verdict::of(&one, &sample(&mut random, 100_000, 50_000));
        assert!(same.t().abs() < LIMIT, "{same:?}");
        let more = Verdict::of(&sample(&mut random, 100_100, 50_000), &one);
        assert!(more.t() > LIMIT && more.difference() > 50.0, "{more:?}");
        assert!(more.detectable() < 50.0, "{more:?}");
    }

    #[test]
    fn t_is_welch_s() {
        let (one, other) = ([1, 2, 3, 4, 5], [3, 5, 7, 9, 11, 13]);
        let verdict = Verdict::of(&one, &other);
        // Of eleven, a twentieth is none below, and above the last stays.
        assert_eq!(verdict.counts, [5, 6]);
        // (3 - 8) / sqrt(2.5 / 5 + 14 / 6)
        assert!((verdict.t() + 2.970_44).abs() < 1e-4, "{verdict:?}");
    }

    #[test]
    fn no_spread_and_no_difference_is_no_difference() {
        assert!(Verdict::of(&[5, 5, 5], &[5, 5, 5]).t() == 0.0);
    }
}
