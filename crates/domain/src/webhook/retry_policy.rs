//! The retry policy of a webhook: how many attempts an event gets, and the delay between them.

use std::time::Duration;

use crate::violation::{FieldPath, Violation};

/// Maximum number of attempts of an event.
pub const MAX_ATTEMPTS: u32 = 15;
/// Maximum first delay, in seconds.
pub const MAX_DELAY_SECONDS: u32 = 3_600;
/// Maximum delay before a retry.
pub const MAX_RETRY_DELAY: Duration = Duration::from_secs(6 * 60 * 60);

/// How the delay grows with the number of failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backoff {
    /// The delay doubles.
    #[default]
    Exponential,
    /// The delay grows by the first delay.
    Linear,
    /// The delay stays the same.
    Constant,
}

impl Backoff {
    /// Every kind of growth.
    pub const ALL: [Self; 3] = [Self::Exponential, Self::Linear, Self::Constant];

    /// Returns the stable name, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exponential => "exponential",
            Self::Linear => "linear",
            Self::Constant => "constant",
        }
    }

    /// Returns the kind of growth with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backoff| backoff.as_str() == text)
    }
}

/// The retry policy of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How the delay grows.
    pub backoff: Backoff,
    /// Delay after the first failure, in seconds: 1 to 3,600.
    pub delay_seconds: u32,
    /// Number of attempts after which an event is a dead letter: 1 to 15.
    pub attempts: u32,
}

/// 15 attempts, the second after 2 seconds, with doubling delays: about 9 hours in all.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self { backoff: Backoff::Exponential, delay_seconds: 2, attempts: MAX_ATTEMPTS }
    }
}

/// A random factor of a delay, from 0.9 to 1.1, so that many retries do not come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter(u16);

impl Jitter {
    /// The factor 1.
    pub const NONE: Self = Self(1_000);

    /// Creates a factor from random bits.
    pub const fn from_random(bits: u16) -> Self {
        Self(900 + bits % 201)
    }
}

impl RetryPolicy {
    /// Returns the delay after the given number of failures, from 1. At least `asked`, the delay
    /// that the receiver asks for, and at most 6 hours.
    pub fn delay(&self, failures: u32, asked: Option<Duration>, jitter: Jitter) -> Duration {
        let steps = failures.saturating_sub(1);
        let factor = match self.backoff {
            Backoff::Exponential => 1_u32.checked_shl(steps).unwrap_or(u32::MAX),
            Backoff::Linear => failures.max(1),
            Backoff::Constant => 1,
        };
        let step = Duration::from_secs(self.delay_seconds.into()).saturating_mul(factor);
        let step = step.min(MAX_RETRY_DELAY) * u32::from(jitter.0) / 1_000;
        step.max(asked.unwrap_or_default()).min(MAX_RETRY_DELAY)
    }

    /// Returns every violation of the bounds.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        if !(1..=MAX_DELAY_SECONDS).contains(&self.delay_seconds) {
            let reason = format!("between 1 and {MAX_DELAY_SECONDS}");
            found.push(Violation::new(FieldPath::RetryDelay, reason));
        }
        if !(1..=MAX_ATTEMPTS).contains(&self.attempts) {
            let reason = format!("between 1 and {MAX_ATTEMPTS}");
            found.push(Violation::new(FieldPath::RetryAttempts, reason));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(backoff: Backoff, delay_seconds: u32) -> Vec<u64> {
        let policy = RetryPolicy { backoff, delay_seconds, attempts: 15 };
        let delay = |failures| policy.delay(failures, None, Jitter::NONE).as_secs();
        [1, 2, 3, 4, 14].map(delay).into()
    }

    #[test]
    fn delay_grows_by_the_policy() {
        assert_eq!(delays(Backoff::Exponential, 2), [2, 4, 8, 16, 16_384]);
        assert_eq!(delays(Backoff::Linear, 10), [10, 20, 30, 40, 140]);
        assert_eq!(delays(Backoff::Constant, 7), [7; 5]);
        assert_eq!(delays(Backoff::Exponential, 3_600), [3_600, 7_200, 14_400, 21_600, 21_600]);
        let all: Duration =
            (1..15).map(|n| RetryPolicy::default().delay(n, None, Jitter::NONE)).sum();
        assert_eq!(all, Duration::from_secs(2 * ((1 << 14) - 1)));
    }

    #[test]
    fn jitter_changes_the_delay_by_a_tenth_at_most() {
        let policy = RetryPolicy { delay_seconds: 100, ..RetryPolicy::default() };
        let delay = |bits| policy.delay(1, None, Jitter::from_random(bits)).as_secs();
        assert_eq!((delay(0), delay(100), delay(200), delay(201)), (90, 100, 110, 90));
        assert!((0..=u16::MAX).all(|bits| (90..=110).contains(&delay(bits))));
    }

    #[test]
    fn receiver_can_only_lengthen_the_delay() {
        let policy = RetryPolicy { delay_seconds: 10, ..RetryPolicy::default() };
        let delay = |asked| policy.delay(1, Some(Duration::from_secs(asked)), Jitter::NONE);
        assert_eq!([delay(0), delay(10), delay(11)].map(|it| it.as_secs()), [10, 10, 11]);
        assert_eq!(delay(1_000_000), MAX_RETRY_DELAY);
        assert_eq!(policy.delay(u32::MAX, None, Jitter::from_random(200)), MAX_RETRY_DELAY);
    }

    #[test]
    fn bounds_are_checked() {
        let policy = |delay_seconds, attempts| {
            let policy = RetryPolicy { delay_seconds, attempts, ..RetryPolicy::default() };
            policy.violations().into_iter().map(|found| found.field).collect::<Vec<_>>()
        };
        assert_eq!(policy(0, 0), [FieldPath::RetryDelay, FieldPath::RetryAttempts]);
        assert_eq!(policy(3_601, 16), [FieldPath::RetryDelay, FieldPath::RetryAttempts]);
        assert!(policy(1, 1).is_empty() && policy(3_600, 15).is_empty());
    }
}
