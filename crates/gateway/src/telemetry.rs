//! The log of the node on standard error: its own lines, the lines of the engine, and panics. Text has
//! priorities when standard error is the journal of systemd.
//!
//! A thread writes the lines. When standard error is not read, no other thread blocks: lines beyond
//! [`MAX_QUEUED_LINES`] are dropped.

use std::{
    io::{IsTerminal as _, Write},
    sync::{OnceLock, mpsc},
    time::Duration,
};

use program_telemetry::{JournalFormat, stderr_is_journal};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, filter::ParseError, fmt};

use crate::LogFormat;

/// At `info`, the engine logs phone numbers and names; only its warnings are logged.
const DEFAULT_FILTER: &str = "warn,gateway=info,berth_gateway=info";
/// Lines that wait for the writer thread.
const MAX_QUEUED_LINES: usize = 4096;
/// Time limit for writing the remaining lines when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The number of dropped lines, once the log has started.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Writes the remaining lines when dropped, at the end of the process.
#[derive(Debug)]
#[must_use]
pub struct LogGuard(Option<WorkerGuard>);

/// Sends log lines, the engine's `log` records and panics to standard error.
///
/// # Errors
/// Fails when the filter cannot be parsed.
pub fn start(filter: Option<&str>, format: LogFormat) -> Result<LogGuard, ParseError> {
    let filter = filter.filter(|text| !text.trim().is_empty()).unwrap_or(DEFAULT_FILTER);
    let filter = EnvFilter::try_new(filter)?;
    let (writer, log) = writer(std::io::stderr());
    let _ = DROPPED.set(writer.error_counter()); // a second log exists in tests only
    let lines = fmt()
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter);
    // Fails only if a subscriber is already set, as in tests.
    let _ = match format {
        LogFormat::Text if stderr_is_journal() => {
            lines.event_format(JournalFormat(fmt::format())).try_init()
        }
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, message, "panic");
    }));
    Ok(log)
}

/// Returns the number of lines dropped since the start of the log.
pub(crate) fn dropped() -> u64 {
    DROPPED.get().map_or(0, |dropped| dropped.dropped_lines() as u64)
}

fn writer(to: impl Write + Send + 'static) -> (NonBlocking, LogGuard) {
    let writer = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(MAX_QUEUED_LINES);
    let (writer, guard) = writer.thread_name("log").finish(to);
    (writer, LogGuard(Some(guard)))
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let (done, wait) = mpsc::sync_channel(1);
        let guard = self.0.take();
        // The guard reports a failed flush on standard output, which may be unread as well and
        // block.
        std::thread::spawn(move || {
            drop(guard);
            let _ = done.send(()); // the receiver may have timed out
        });
        let _ = wait.recv_timeout(FLUSH_TIMEOUT);
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A writer that blocks until the channel closes.
    struct Stalled(mpsc::Receiver<()>);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn unread_log_blocks_neither_writers_nor_exit() {
        let (release, stalled) = mpsc::channel();
        let (mut lines, log) = writer(Stalled(stalled));
        for _ in 0..2 * MAX_QUEUED_LINES {
            lines.write_all(b"line\n").unwrap();
        }
        assert!(lines.error_counter().dropped_lines() > 0);
        drop(log);
        drop(release);
    }
}
