//! `berth-gateway health`: asks the operator listener of a running node, for probes without a shell.

use anyhow::{Context as _, Result};
use program_telemetry::ask;

use crate::HealthFlags;

/// Asks for liveness, or for readiness.
///
/// # Errors
/// Fails when the node has no operator listener, does not answer, or is not ready; the message has the
/// checks of a node that is not ready.
pub fn run(flags: &HealthFlags) -> Result<()> {
    let listener = flags.ops_listen.context("BERTH_GATEWAY_OPS_LISTEN is not set")?;
    ask(listener, if flags.ready { "/readyz" } else { "/livez" }).map(drop)
}
