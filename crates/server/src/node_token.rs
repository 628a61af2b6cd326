//! `berth node-token`: prints the token of a node, derived from the fleet secret.
//!
//! Decision: ADR 0061.

use std::io::{Write as _, stdout};

use anyhow::Result;
use domain::GatewayId;

use crate::{
    cli::NodeToken,
    config::{GatewayTokens, fleet},
    invalid::Invalid,
    settings::{Flags, Settings},
};

/// Prints the token, as the only output on standard output.
///
/// # Errors
/// Without a fleet secret, and for an id that no pattern permits.
pub(crate) fn run(command: NodeToken) -> Result<()> {
    let NodeToken { id, config, fleet } = command;
    let flags = Flags { config, settings: Settings { fleet, ..Settings::default() } };
    let fleet = fleet::check(flags.gather()?.fleet)?;
    let Some((secret, patterns)) = fleet else {
        return Err(Invalid::new("BERTH_FLEET_SECRET_FILE must be set").into());
    };
    let remote =
        GatewayTokens { fleet: Some((secret.clone(), patterns)), ..GatewayTokens::default() };
    if !GatewayId::parse(&id).is_some_and(|id| remote.permits(&id)) {
        return Err(Invalid::new(format!("no pattern of BERTH_FLEET_NODES matches {id:?}")).into());
    }
    writeln!(stdout(), "{}", secret.token(&id))?;
    Ok(())
}
