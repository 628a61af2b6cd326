//! The simulator as a program, for demos and for tests in other languages: a chat socket and its
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

/// A pretend WhatsApp network on this machine.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where clients connect to; loopback only.
    #[arg(long, default_value = "127.0.0.1:9500")]
    listen: SocketAddr,
    /// Where the control interface listens; loopback only.
    #[arg(long, default_value = "127.0.0.1:9501")]
    control: SocketAddr,
    /// Makes the same root of trust and server key in every run.
    #[arg(long)]
    trust_anchor_seed: Option<String>,
    /// Remembers phones and linked devices in this file from one run to the next.
    #[arg(long)]
    state: Option<PathBuf>,
    /// What is logged: a level, or filters by module.
    #[arg(long, default_value = "info")]
    log: EnvFilter,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { listen, control, trust_anchor_seed, state, log } = Arguments::parse();
    tracing_subscriber::fmt().with_env_filter(log).with_writer(std::io::stderr).init();
    // A socket a device: more than a shell allows by default.
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
    // For whoever started us with port 0 and must know where to go.
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
