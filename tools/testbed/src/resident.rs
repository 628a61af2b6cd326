//! What a process holds of the machine's memory, as the kernel counts it.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

const GLANCE: Duration = Duration::from_millis(500);
/// So many glances in a row see about the same.
const CALM: usize = 6;
/// "About the same", in kB.
const TREMOR: u64 = 64;
const PATIENCE: Duration = Duration::from_secs(30);

/// In kB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resident {
    /// All pages it has in memory, shared ones counted whole.
    pub all: u64,
    /// The same, shared ones divided among those who share them.
    pub proportional: u64,
    /// Its own data: what is not a file's.
    pub anonymous: u64,
    /// The most it ever had.
    pub peak: u64,
}

impl Resident {
    /// Of this process, now.
    pub fn of(pid: u32) -> Result<Self> {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .with_context(|| format!("the memory of process {pid}"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(Self {
            all: kilobytes(&rollup, "Rss")?,
            proportional: kilobytes(&rollup, "Pss")?,
            anonymous: kilobytes(&rollup, "Anonymous")?,
            peak: kilobytes(&status, "VmHWM")?,
        })
    }

    /// Of this process, once it no longer changes, or after half a minute.
    pub fn settled(pid: u32) -> Result<Self> {
        let end = Instant::now() + PATIENCE;
        let (mut calm, mut last) = (0, Self::of(pid)?);
        while calm < CALM && Instant::now() < end {
            thread::sleep(GLANCE);
            let now = Self::of(pid)?;
            calm = if now.all.abs_diff(last.all) <= TREMOR { calm + 1 } else { 0 };
            last = now;
        }
        Ok(last)
    }
}

fn kilobytes(text: &str, name: &str) -> Result<u64> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let mut values = lines.filter_map(|value| value.trim().strip_suffix("kB")?.trim().parse().ok());
    values.next().with_context(|| format!("the kernel tells no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_process_holds_memory() {
        let own = Resident::of(std::process::id()).unwrap();
        assert!(own.all >= own.anonymous && own.anonymous > 0 && own.peak >= own.all / 2);
    }

    #[test]
    fn a_name_is_not_taken_for_a_longer_one() {
        let text = "Rss:     12 kB\nPss:   7 kB\nPss_Anon:  3 kB\n";
        assert_eq!(kilobytes(text, "Pss").unwrap(), 7);
        assert!(kilobytes(text, "Ps").is_err());
    }
}
