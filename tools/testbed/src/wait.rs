//! Waits for a state.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

const POLL: Duration = Duration::from_millis(40);

/// Polls until `look` returns a value or the time is up.
pub fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + patience;
    loop {
        let seen = look();
        match seen {
            Ok(Some(thing)) => return Ok(thing),
            Ok(None) if Instant::now() > end => {
                bail!("not within {} s: {what}", patience.as_secs())
            }
            Err(error) if Instant::now() > end => {
                return Err(error)
                    .with_context(|| format!("not within {} s: {what}", patience.as_secs()));
            }
            Ok(None) | Err(_) => thread::sleep(POLL),
        }
    }
}

/// As [`until`], for a condition.
pub fn until_true(
    what: &str,
    patience: Duration,
    mut is_so: impl FnMut() -> Result<bool>,
) -> Result<()> {
    until(what, patience, || Ok(is_so()?.then_some(())))
}
