//! The simulator as a program, for demos and for tests in other languages: a chat socket and a
//! control interface.

use anyhow::Context;
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use whatsapp_sim::{Config, Control, Simulator};

/// A simulated WhatsApp network on this computer.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The address for clients; loopback only.
    #[arg(long, default_value = "127.0.0.1:9500")]
    listen: SocketAddr,
    /// The address of the control interface; loopback only.
    #[arg(long, default_value = "127.0.0.1:9501")]
    control: SocketAddr,
    /// The text from which the root and server keys are derived, so that they are the same in every
    /// run.
    #[arg(long)]
    trust_anchor_seed: Option<String>,
    /// The file that stores phones and linked devices between runs; messages are stored beside it
    /// in a file with the suffix `.messages`.
    #[arg(long)]
    state: Option<PathBuf>,
    /// The log filter: a level, or filters by module.
    #[arg(long, default_value = "info")]
    log: EnvFilter,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { listen, control, trust_anchor_seed, state, log } = Arguments::parse();
    tracing_subscriber::fmt().with_env_filter(log).with_writer(std::io::stderr).init();
    // Each device needs a socket; the default limit of a shell is too low.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let config = Config { listen, trust_anchor_seed, state, ..Config::default() };
    let simulator = Arc::new(Simulator::start(config).await?);
    let control =
        Control::start(Arc::clone(&simulator), control).await.context("the control interface")?;
    let ready = serde_json::json!({
        "socket": simulator.url(),
        "control": format!("http://{}", control.address()),
    });
    // Tells a caller that used port 0 the bound addresses.
    writeln!(std::io::stdout(), "{ready}").context("standard output")?;
    tracing::info!(url = simulator.url(), control = %control.address(), "listening");
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("stopping");
    simulator.stop().await;
    Ok(())
}
