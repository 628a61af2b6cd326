//! Processor time of a process: the cost of an answer, independent of other processes.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

/// The kernel reports hundredths of a second on every supported architecture.
const TICKS_A_SECOND: u64 = 100;

/// Returns the processor time of a process so far, user and system.
pub fn time_of(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("the processor time of process {pid}"))?;
    let ticks = ticks(&stat).with_context(|| format!("unknown format of the kernel: {stat:?}"))?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
}

/// Returns `utime` + `stime`, fields 14 and 15. Field 2 is a name in parentheses that may contain
/// spaces.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11).map(str::parse::<u64>);
    Some(fields.next()?.ok()? + fields.next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added() {
        let stat = "12 (a ) b) S 1 12 12 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 5 0 1 2 3";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("nonsense"), None);
        assert!(time_of(std::process::id()).is_ok());
    }
}
