//! The processor time a process has used: what an answer costs, whoever else wanted the cores.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

/// The kernel tells times to user space in hundredths of a second on every architecture we build for.
const TICKS_A_SECOND: u64 = 100;

/// Used by this process so far, in its own code and in the kernel's.
pub fn time_of(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("the processor time of process {pid}"))?;
    let ticks = ticks(&stat).with_context(|| format!("not as the kernel tells it: {stat:?}"))?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
}

/// `utime` and `stime`, the 14th and 15th field; the second is a name in brackets that may hold spaces.
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
