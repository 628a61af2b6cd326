//! The log: one line an event, on standard error, as text for people or JSON for programs. Text has
//! priorities when standard error is the journal of systemd.
//!
//! A separate thread writes all waiting lines at once and then pauses for 4 ms: a write for each
//! line took a tenth of the time of a request. `kill -9` loses the lines of the last 4 ms; an
//! orderly stop and a panic lose no line.
//!
//! When standard error is not read, requests do not wait: lines beyond [`MAX_WAITING_LINES`] are
//! dropped and counted, and a later line states the number.

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use program_telemetry::{JournalFormat, stderr_is_journal, with_error_priority};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat};

/// The pause between two writes, in which lines collect.
const FLUSH_PAUSE: Duration = Duration::from_millis(4);
const BUFFER_BYTES: usize = 64 * 1024;
/// The maximum number of lines that wait to be written. Further lines are dropped.
const MAX_WAITING_LINES: usize = 4096;
/// The time that the end of the process waits for the remaining lines to be read.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The writer thread; `None` before [`start`] and after [`end`].
static LOG_WRITER: Mutex<Option<LogWriter>> = Mutex::new(None);

/// Starts the log with `filter`, unless the settings have a filter. Panics are logged as well. The
/// log runs until [`end`].
pub(crate) fn start(log: &Log, filter: &str) -> Result<()> {
    let filter =
        EnvFilter::try_new(log.filter.as_deref().unwrap_or(filter)).context("the log's filter")?;
    let registry = tracing_subscriber::registry().with(filter);
    let (writer, log_writer) = writer(io::stderr());
    let stderr = fmt::layer().with_writer(writer);
    let started = match log.format {
        LogFormat::Json => registry.with(stderr.json().flatten_event(true)).try_init(),
        LogFormat::Text if stderr_is_journal() => {
            let lines = stderr.with_ansi(false).event_format(JournalFormat(fmt::format()));
            registry.with(lines).try_init()
        }
        LogFormat::Text if io::stderr().is_terminal() => registry.with(stderr).try_init(),
        LogFormat::Text => registry.with(stderr.with_ansi(false)).try_init(),
    };
    started.map_err(|error| anyhow!("the log cannot be started: {error}"))?;
    *LOG_WRITER.lock().unwrap_or_else(PoisonError::into_inner) = Some(log_writer);
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a task panicked")));
    Ok(())
}

/// Returns the number of lines dropped since the start.
pub(crate) fn dropped() -> u64 {
    let log_writer = LOG_WRITER.lock().unwrap_or_else(PoisonError::into_inner);
    log_writer.as_ref().map_or(0, |log_writer| log_writer.dropped.dropped_lines() as u64)
}

/// Writes the remaining lines, for at most 2 s. Must be called before every exit of the process.
pub(crate) fn end() {
    let log_writer = LOG_WRITER.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(log_writer) = log_writer {
        log_writer.end();
    }
}

/// Prints an error to standard error, for at most 2 s.
pub(crate) fn print_error(message: String) {
    run_with_timeout(STOP_TIMEOUT, move || eprintln!("{}", with_error_priority(&message)));
}

/// The thread that writes log lines.
struct LogWriter {
    guard: WorkerGuard,
    dropped: ErrorCounter,
}

impl LogWriter {
    fn end(self) {
        // On a time-out the guard prints to standard output, which may not be read either.
        run_with_timeout(STOP_TIMEOUT, move || drop(self.guard));
    }
}

/// Runs `work` on a new thread and abandons the thread after `time`.
fn run_with_timeout(time: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        work();
        let _ = done.send(()); // the receiver may have timed out
    });
    let _ = wait.recv_timeout(time);
}

/// Returns a non-blocking writer and the thread that writes its lines to `to`.
fn writer(to: impl Write + Send + 'static) -> (NonBlocking, LogWriter) {
    let dropped = Arc::<OnceLock<ErrorCounter>>::default();
    let batching = BatchingWriter {
        to: BufWriter::with_capacity(BUFFER_BYTES, to),
        dropped: dropped.clone(),
        reported: 0,
    };
    let writer = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(MAX_WAITING_LINES);
    let (writer, guard) = writer.thread_name("log").finish(batching);
    let dropped = dropped.get_or_init(|| writer.error_counter()).clone();
    (writer, LogWriter { guard, dropped })
}

/// A writer that pauses after each batch of lines.
struct BatchingWriter<W: Write> {
    to: BufWriter<W>,
    /// Set before the first line.
    dropped: Arc<OnceLock<ErrorCounter>>,
    /// The number of dropped lines that the log has reported.
    reported: usize,
}

impl<W: Write> Write for BatchingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    /// Called when no line is waiting.
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()?;
        let dropped = self.dropped.get().map_or(0, ErrorCounter::dropped_lines);
        if dropped > self.reported {
            let lines = dropped - std::mem::replace(&mut self.reported, dropped);
            tracing::warn!(lines, "log lines were dropped: standard error was not read in time");
        }
        std::thread::sleep(FLUSH_PAUSE);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that waits for a permit before each write.
    struct StalledWriter {
        allowed: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for StalledWriter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Without a sender of permits, every write succeeds.
            let _ = self.allowed.recv();
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn unread_log_blocks_neither_writers_nor_the_end() {
        let ((allow, allowed), (written, read)) = (mpsc::channel(), mpsc::channel());
        let (mut writer, log_writer) = writer(StalledWriter { allowed, written });
        let lines = 3 * MAX_WAITING_LINES;
        for _ in 0..lines {
            writer.write_all(&[b'x'; 100]).unwrap();
        }
        let dropped = log_writer.dropped.clone();
        assert!(dropped.dropped_lines() >= MAX_WAITING_LINES, "{}", dropped.dropped_lines());
        log_writer.end();
        drop((allow, writer));
        let written: usize = read.iter().map(|part| part.len()).sum();
        assert_eq!(
            written,
            (lines - dropped.dropped_lines()) * 100,
            "all lines that were not dropped are written"
        );
    }

    #[test]
    fn log_that_is_read_loses_no_line() {
        let ((allow, allowed), (written, read)) = (mpsc::channel(), mpsc::channel());
        drop(allow);
        let (mut writer, log_writer) = writer(StalledWriter { allowed, written });
        for _ in 0..MAX_WAITING_LINES {
            writer.write_all(b"line\n").unwrap();
        }
        assert_eq!(log_writer.dropped.dropped_lines(), 0);
        log_writer.end();
        drop(writer);
        assert_eq!(read.iter().map(|part| part.len()).sum::<usize>(), MAX_WAITING_LINES * 5);
    }

    #[test]
    fn dropped_lines_are_reported_once() {
        let (sender, receiver) = mpsc::channel();
        let subscriber = fmt().with_writer(move || ChannelWriter(sender.clone())).finish();
        let dropped = Arc::<OnceLock<ErrorCounter>>::default();
        let (allow, allowed) = mpsc::channel::<()>();
        let (written, _read) = mpsc::channel();
        let (mut full, log_writer) = writer(StalledWriter { allowed, written });
        // The thread accepts lines until its queue is full.
        for _ in 0..100 * MAX_WAITING_LINES {
            full.write_all(b"line\n").unwrap();
        }
        let lost = dropped.get_or_init(|| log_writer.dropped.clone()).dropped_lines();
        let mut batching = BatchingWriter { to: BufWriter::new(io::sink()), dropped, reported: 0 };
        tracing::subscriber::with_default(subscriber, || {
            batching.flush().unwrap();
            batching.flush().unwrap();
        });
        drop(allow);
        let reported: Vec<_> =
            receiver.try_iter().map(|line| String::from_utf8(line).unwrap()).collect();
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert!(
            reported[0].contains(&format!("lines={lost}"))
                || reported[0].contains(&lost.to_string())
        );
    }

    struct ChannelWriter(mpsc::Sender<Vec<u8>>);

    impl Write for ChannelWriter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
