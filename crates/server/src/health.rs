//! `berth health`: asks the operator listener of a running `berth`, for probes without a shell.

use anyhow::Result;
use program_telemetry::ask;

use crate::{
    cli::Health,
    config,
    settings::{Flags, Settings},
};

/// Asks for liveness, or for readiness, and prints the answer of a service that is not well.
///
/// # Errors
/// When the service does not answer, or is not ready.
pub(crate) fn run(command: Health) -> Result<()> {
    let Health { ready, config, listeners } = command;
    let flags = Flags { config, settings: Settings { listeners, ..Settings::default() } };
    let address = config::listeners(&flags.gather()?.listeners)?.ops;
    ask(address, if ready { "/readyz" } else { "/livez" }).map(drop)
}
