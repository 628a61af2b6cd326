//! What the node says of itself, on standard error: its own lines, the engine's, and panics.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::LogFormat;

/// The engine tells much of numbers and names at `info`; only its warnings are worth keeping.
const USUAL: &str = "warn,gateway=info,berth_gateway=info";

/// Sends log lines, the engine's `log` records and panics to standard error.
///
/// # Errors
/// When the filter cannot be read.
pub fn start(filter: Option<&str>, format: LogFormat) -> Result<(), ParseError> {
    let filter = filter.filter(|text| !text.trim().is_empty()).unwrap_or(USUAL);
    let filter = EnvFilter::try_new(filter)?;
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter);
    // Fails only when somebody else was first, as tests are.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, message, "panic");
    }));
    Ok(())
}
