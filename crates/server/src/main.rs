//! berth, the router: authenticates callers, isolates organizations, and stores and controls
//! sessions. Gateways hold the connections to WhatsApp.

mod assemble;
mod backups;
mod browsers;
mod cli;
mod clock_skew;
mod config;
mod doctor;
mod duration;
mod environment;
mod fleet_metrics;
mod health;
mod invalid;
mod keys;
mod lifecycle;
mod listeners;
mod local_gateway;
mod message_metrics;
mod metrics;
mod node_tls;
mod node_token;
mod notifier;
mod only_server;
mod organization_tags;
mod organizations;
mod orphans;
mod readiness;
mod router;
mod seal;
mod service_status;
mod session_metrics;
mod session_watcher;
mod settings;
mod store;
mod telemetry;
mod webhook_sender;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::CommandFactory as _;
use program_settings::GenerateCommand;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    cli::{Cli, Command},
    config::Config,
    invalid::Invalid,
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
        Ok(code) => code,
        Err(error) => {
            telemetry::print_error(format!("berth: {error:#}"));
            // The exit code of an unknown flag.
            if error.is::<Invalid>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Runs the command of the command line.
async fn run() -> Result<ExitCode> {
    let Cli { command, serve: flags } = Cli::read()?;
    match command {
        Some(Command::Doctor(command)) => return Box::pin(doctor::run(*command)).await,
        Some(Command::Backup(command)) => backups::back_up(command).await,
        Some(Command::Restore(command)) => Box::pin(backups::restore(command)).await,
        Some(Command::Generate(command)) => generate(&command),
        Some(Command::NodeToken(command)) => node_token::run(command),
        Some(Command::Health(command)) => health::run(command),
        Some(Command::Key(command)) => keys::run(command).await,
        Some(Command::Seal(command)) => seal::run(command).await,
        Some(Command::Orphan(command)) => orphans::run(command).await,
        Some(Command::Organization(command)) => organizations::run(command).await,
        Some(Command::Serve(flags)) => Box::pin(serve(*flags)).await,
        None => Box::pin(serve(flags)).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

fn generate(command: &GenerateCommand) -> Result<()> {
    Ok(command.run(Cli::command(), &mut std::io::stdout())?)
}

/// Runs `berth serve`: starts the router, logs its addresses, waits for a signal, and stops.
async fn serve(flags: Flags) -> Result<()> {
    let config = Config::check(flags.gather()?)?;
    telemetry::start(&config.log, "info")?;
    settings::warn_of_variables();
    let mut signals = Signals::listen()?;
    raise_open_files();

    let mut router = tokio::select! {
        router = Router::start(config) => router?,
        () = signals.stop_requested() => return Ok(()),
    };
    let at = router.addresses;
    tracing::info!(listen = %at.public, node_listen = %at.nodes, ops_listen = %at.ops, "berth is ready");

    tokio::select! {
        () = signals.stop_requested() => {}
        () = router.failed() => bail!("a part of the router ended by itself"),
    }
    signals.exit_on_next_signal();
    router.stop().await?;
    tracing::info!("berth has ended");
    Ok(())
}

/// Raises the limit of open files. The default of a shell is lower than the connections that the
/// listeners accept, and the database would get no file.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
