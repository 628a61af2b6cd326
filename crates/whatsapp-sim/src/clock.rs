//! The world's clock. The simulator stands for the outside world, so it is the one to know the
//! time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[expect(clippy::disallowed_methods, reason = "the simulated network is itself the environment")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Whole seconds since 1970, as the wire writes times.
pub(crate) fn seconds() -> u64 {
    since_epoch().as_secs()
}

/// Milliseconds since 1970, as the control interface writes times.
pub(crate) fn millis() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}
