//! The log: one line an event, on standard error, as text for people or JSON for programs.

use std::io::IsTerminal;

use anyhow::{Context, Result, anyhow};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat};

/// Begins to log, with this filter unless another is set; from here on also what a panic has to say.
pub(crate) fn start(log: &Log, filter: &str) -> Result<()> {
    let filter =
        EnvFilter::try_new(log.filter.as_deref().unwrap_or(filter)).context("the log's filter")?;
    let registry = tracing_subscriber::registry().with(filter);
    let stderr = fmt::layer().with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Json => registry.with(stderr.json().flatten_event(true)).try_init(),
        LogFormat::Text => {
            registry.with(stderr.with_ansi(std::io::stderr().is_terminal())).try_init()
        }
    };
    started.map_err(|error| anyhow!("the log cannot be started: {error}"))?;
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a task panicked")));
    Ok(())
}
