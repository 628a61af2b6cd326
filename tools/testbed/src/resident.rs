//! Memory of a process as the kernel reports it.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

const GLANCE: Duration = Duration::from_millis(500);
/// Number of consecutive equal samples that count as settled.
const CALM: usize = 6;
/// Difference in kB up to which samples are equal.
const TREMOR: u64 = 64;
const PATIENCE: Duration = Duration::from_secs(30);

/// Memory figures, each in kB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resident {
    /// Resident pages; shared pages count fully.
    pub all: u64,
    /// Resident pages; shared pages are divided among their processes.
    pub proportional: u64,
    /// Anonymous pages: data that no file holds.
    pub anonymous: u64,
    /// Maximum of the resident pages since the start.
    pub peak: u64,
}

impl Resident {
    /// Reads the present figures of a process.
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

    /// Waits up to 30 s until the resident pages no longer change, and returns the figures.
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
    values.next().with_context(|| format!("the kernel reports no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_this_process_is_read() {
        let own = Resident::of(std::process::id()).unwrap();
        assert!(own.all >= own.anonymous && own.anonymous > 0 && own.peak >= own.all / 2);
    }

    #[test]
    fn field_name_matches_completely() {
        let text = "Rss:     12 kB\nPss:   7 kB\nPss_Anon:  3 kB\n";
        assert_eq!(kilobytes(text, "Pss").unwrap(), 7);
        assert!(kilobytes(text, "Ps").is_err());
    }
}
