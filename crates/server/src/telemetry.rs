//! The log: one line an event, on standard error, as text for people or JSON for programs.
//!
//! Lines are written by a thread of their own, all there are at once and then not for some
//! milliseconds: to write each by itself took a tenth of a request. What was logged in the last of them
//! is lost by `kill -9`; an orderly end, and a panic, lose nothing.

use std::{
    io::{self, BufWriter, IsTerminal, Stderr, Write},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    config::{Log, LogFormat},
    log_fields::Plain,
};

/// How long lines are gathered while there are many.
const PAUSE: Duration = Duration::from_millis(4);
const BUFFER: usize = 64 * 1024;
/// Lines that wait to be written; whoever logs more waits.
const WAITING: usize = 4096;

/// Ends the thread that writes, when everything is written.
static WRITING: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// Begins to log, with this filter unless another is set; from here on also what a panic has to say.
/// Lasts until [`end`].
pub(crate) fn start(log: &Log, filter: &str) -> Result<()> {
    let filter =
        EnvFilter::try_new(log.filter.as_deref().unwrap_or(filter)).context("the log's filter")?;
    let registry = tracing_subscriber::registry().with(filter);
    // Not lossy: who logs more than can be written waits.
    let writer = NonBlockingBuilder::default().lossy(false).buffered_lines_limit(WAITING);
    let writer = writer.thread_name("log");
    let (writer, guard) = writer.finish(Gathered(BufWriter::with_capacity(BUFFER, io::stderr())));
    let stderr = fmt::layer().with_writer(writer);
    let started = match log.format {
        LogFormat::Json => registry.with(stderr.json().flatten_event(true)).try_init(),
        LogFormat::Text if io::stderr().is_terminal() => registry.with(stderr).try_init(),
        LogFormat::Text => registry.with(stderr.with_ansi(false).fmt_fields(Plain)).try_init(),
    };
    started.map_err(|error| anyhow!("the log cannot be started: {error}"))?;
    *WRITING.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a task panicked")));
    Ok(())
}

/// Writes what is left to be written. To be called before the process ends, whichever way.
pub(crate) fn end() {
    drop(WRITING.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// Standard error, which is not asked again so soon.
struct Gathered(BufWriter<Stderr>);

impl Write for Gathered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// Called whenever nothing is left to be written.
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        std::thread::sleep(PAUSE);
        Ok(())
    }
}
