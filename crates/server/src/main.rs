//! berth, the router: it authenticates, isolates, remembers and decides. Gateways hold the
//! connections.

mod assemble;
mod cli;
mod clock_skew;
mod config;
mod duration;
mod environment;
mod keys;
mod lifecycle;
mod listeners;
mod local_gateway;
mod log_fields;
mod metrics;
mod notifier;
mod organization_tags;
mod orphans;
mod readiness;
mod router;
mod session_watcher;
mod settings;
mod store;
mod telemetry;

use std::process::ExitCode;

use anyhow::{Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
    let done = Box::pin(run()).await;
    telemetry::end();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            telemetry::last_words(format!("berth: {error:#}"));
            // As for a flag that does not exist.
            if error.is::<Invalid>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Does what the command line says.
async fn run() -> Result<()> {
    let Cli { command, serve: flags } = Cli::read()?;
    match command {
        Some(Command::Key(command)) => keys::run(command).await,
        Some(Command::Orphan(command)) => orphans::run(command).await,
        Some(Command::Serve(flags)) => serve(*flags).await,
        None => serve(flags).await,
    }
}

/// From the settings to the end: start, say where, wait for a signal, stop.
async fn serve(flags: Flags) -> Result<()> {
    let config = Config::check(flags.gather()?)?;
    telemetry::start(&config.log, "info")?;
    settings::warn_of_unknown_variables();
    let mut signals = Signals::listen()?;
    raise_open_files();

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

/// What a shell allows by default is less than the connections that the listeners take, and then the database
/// would have none.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
