//! The log: one line an event, on standard error, as text for people or JSON for programs.
//!
//! Lines are written by a thread of their own, all there are at once and then not for some
//! milliseconds: to write each by itself took a tenth of a request. What was logged in the last of them
//! is lost by `kill -9`; an orderly end, and a panic, lose nothing.
//!
//! When standard error is not read, nothing waits for it: lines beyond [`WAITING`] are dropped and counted, and
//! a line says how many once there is room again.

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    config::{Log, LogFormat},
    log_fields::Plain,
};

/// How long lines are gathered while there are many.
const PAUSE: Duration = Duration::from_millis(4);
const BUFFER: usize = 64 * 1024;
/// Lines that wait to be written; more are dropped.
const WAITING: usize = 4096;
/// How long the end of the process waits for somebody to read what is left.
const PARTING: Duration = Duration::from_secs(2);

/// Ends the thread that writes, when everything is written.
static WRITING: Mutex<Option<Writing>> = Mutex::new(None);

/// Begins to log, with this filter unless another is set; from here on also what a panic has to say.
/// Lasts until [`end`].
pub(crate) fn start(log: &Log, filter: &str) -> Result<()> {
    let filter =
        EnvFilter::try_new(log.filter.as_deref().unwrap_or(filter)).context("the log's filter")?;
    let registry = tracing_subscriber::registry().with(filter);
    let (writer, writing) = writer(io::stderr());
    let stderr = fmt::layer().with_writer(writer);
    let started = match log.format {
        LogFormat::Json => registry.with(stderr.json().flatten_event(true)).try_init(),
        LogFormat::Text if io::stderr().is_terminal() => registry.with(stderr).try_init(),
        LogFormat::Text => registry.with(stderr.with_ansi(false).fmt_fields(Plain)).try_init(),
    };
    started.map_err(|error| anyhow!("the log cannot be started: {error}"))?;
    *WRITING.lock().unwrap_or_else(PoisonError::into_inner) = Some(writing);
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a task panicked")));
    Ok(())
}

/// How many lines were dropped since the start.
pub(crate) fn dropped() -> u64 {
    let writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    writing.as_ref().map_or(0, |writing| writing.dropped.dropped_lines() as u64)
}

/// Writes what is left to be written, as long as somebody reads it. To be called before the process ends,
/// whichever way.
pub(crate) fn end() {
    let writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(writing) = writing {
        writing.end();
    }
}

/// Writes the last line of the process, as long as somebody reads it.
pub(crate) fn last_words(words: String) {
    at_most(PARTING, move || eprintln!("{words}"));
}

/// The thread that writes.
struct Writing {
    guard: WorkerGuard,
    dropped: ErrorCounter,
}

impl Writing {
    fn end(self) {
        // It says on standard output that it cannot, which may be read as little.
        at_most(PARTING, move || drop(self.guard));
    }
}

/// Does it on a thread of its own, which is left behind when it takes longer.
fn at_most(time: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        work();
        let _ = done.send(()); // nobody waits any more
    });
    let _ = wait.recv_timeout(time);
}

/// Writes lines to `to`, of which nothing waits.
fn writer(to: impl Write + Send + 'static) -> (NonBlocking, Writing) {
    let dropped = Arc::<OnceLock<ErrorCounter>>::default();
    let gathered =
        Gathered { to: BufWriter::with_capacity(BUFFER, to), dropped: dropped.clone(), told: 0 };
    let writer = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING);
    let (writer, guard) = writer.thread_name("log").finish(gathered);
    let dropped = dropped.get_or_init(|| writer.error_counter()).clone();
    (writer, Writing { guard, dropped })
}

/// A writer that is not asked again so soon.
struct Gathered<W: Write> {
    to: BufWriter<W>,
    /// Known as soon as there can be a line.
    dropped: Arc<OnceLock<ErrorCounter>>,
    told: usize,
}

impl<W: Write> Write for Gathered<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    /// Called whenever nothing is left to be written.
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()?;
        let dropped = self.dropped.get().map_or(0, ErrorCounter::dropped_lines);
        if dropped > self.told {
            let lines = dropped - std::mem::replace(&mut self.told, dropped);
            tracing::warn!(lines, "log lines were dropped: standard error was not read in time");
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes when it is told to, line by line at most.
    struct Stalled {
        allowed: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // When nobody can tell it to any more, it writes.
            let _ = self.allowed.recv();
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn log_that_is_not_read_holds_up_neither_its_writers_nor_the_end() {
        let ((allow, allowed), (written, read)) = (mpsc::channel(), mpsc::channel());
        let (mut writer, writing) = writer(Stalled { allowed, written });
        let lines = 3 * WAITING;
        for _ in 0..lines {
            writer.write_all(&[b'x'; 100]).unwrap();
        }
        let dropped = writing.dropped.clone();
        assert!(dropped.dropped_lines() >= WAITING, "{}", dropped.dropped_lines());
        writing.end();
        drop((allow, writer));
        let written: usize = read.iter().map(|part| part.len()).sum();
        assert_eq!(written, (lines - dropped.dropped_lines()) * 100, "what was kept is written");
    }

    #[test]
    fn log_that_is_read_loses_nothing() {
        let ((allow, allowed), (written, read)) = (mpsc::channel(), mpsc::channel());
        drop(allow);
        let (mut writer, writing) = writer(Stalled { allowed, written });
        for _ in 0..WAITING {
            writer.write_all(b"line\n").unwrap();
        }
        assert_eq!(writing.dropped.dropped_lines(), 0);
        writing.end();
        drop(writer);
        assert_eq!(read.iter().map(|part| part.len()).sum::<usize>(), WAITING * 5);
    }

    #[test]
    fn lines_that_were_dropped_are_told_once() {
        let (said, heard) = mpsc::channel();
        let subscriber = fmt().with_writer(move || Said(said.clone())).finish();
        let dropped = Arc::<OnceLock<ErrorCounter>>::default();
        let (allow, allowed) = mpsc::channel::<()>();
        let (written, _read) = mpsc::channel();
        let (mut full, writing) = writer(Stalled { allowed, written });
        // The thread takes lines as long as it has room for them.
        for _ in 0..100 * WAITING {
            full.write_all(b"line\n").unwrap();
        }
        let lost = dropped.get_or_init(|| writing.dropped.clone()).dropped_lines();
        let mut gathered = Gathered { to: BufWriter::new(io::sink()), dropped, told: 0 };
        tracing::subscriber::with_default(subscriber, || {
            gathered.flush().unwrap();
            gathered.flush().unwrap();
        });
        drop(allow);
        let told: Vec<_> = heard.try_iter().map(|line| String::from_utf8(line).unwrap()).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(&format!("lines={lost}")) || told[0].contains(&lost.to_string()));
    }

    struct Said(mpsc::Sender<Vec<u8>>);

    impl Write for Said {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
