//! The rounds in which targets take turns.

use std::time::Duration;

/// Duration of a round of one target.
pub(crate) const ROUND: Duration = Duration::from_secs(4);
/// Number of rounds of each target.
pub(crate) const ROUNDS: usize = 5;
