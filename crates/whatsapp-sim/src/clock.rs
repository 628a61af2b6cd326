//! The clock of the simulated network. The simulator stands for the outside world, so it may read
//! the system clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[expect(clippy::disallowed_methods, reason = "the simulated network is itself the environment")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns Unix seconds, the unit of the protocol.
pub(crate) fn seconds() -> u64 {
    since_epoch().as_secs()
}

/// Returns Unix milliseconds, the unit of the control interface.
pub(crate) fn millis() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}
