//! berth, the router: it authenticates, isolates, remembers and decides. Gateways hold the
//! connections.

mod assemble;
mod bells;
mod cli;
mod config;
mod environment;
mod groups;
mod keys;
mod lifecycle;
mod listeners;
mod local_gateway;
mod log_fields;
mod metrics;
mod readiness;
mod router;
mod settings;
mod span;
mod store;
mod telemetry;
mod watches;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;

use crate::{
    cli::{Cli, Command},
    config::{Config, Invalid},
    lifecycle::Signals,
    router::Router,
    settings::Flags,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command, serve: flags } = Cli::parse();
    let done = match command {
        Some(Command::Key(command)) => keys::run(command).await,
        Some(Command::Serve(flags)) => serve(*flags).await,
        None => serve(flags).await,
    };
    telemetry::end();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("berth: {error:#}");
            // As for a flag that does not exist.
            if error.is::<Invalid>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// From the settings to the end: start, say where, wait for a signal, stop.
async fn serve(flags: Flags) -> Result<()> {
    let config = Config::check(flags.gather()?)?;
    telemetry::start(&config.log, "info")?;
    let mut signals = Signals::listen()?;

    let mut router = tokio::select! {
        router = Router::start(config) => router?,
        () = signals.asked_to_end() => return Ok(()),
    };
    let at = router.addresses;
    tracing::info!(listen = %at.public, node_listen = %at.nodes, ops_listen = %at.ops, "berth is ready");

    tokio::select! {
        () = signals.asked_to_end() => {}
        () = router.failed() => bail!("a part of the router ended by itself"),
    }
    signals.end_at_once_when_asked_again();
    router.stop().await?;
    tracing::info!("berth has ended");
    Ok(())
}
