//! The gateway beside berth: started with it, started again when it dies, ended last.
//!
//! It holds the reading end of a pipe as its standard input and ends when that closes, so it
//! outlives its berth in no way, a kill included. Two of them never share keys, whatever happens
//! here: the node itself locks its data folder.
//!
//! Decision: ADR 0001.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use domain::GatewayId;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    process::{Child, ChildStdin, Command},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::config::{LocalGateway, Log};

/// What the router calls it.
const NAME: &str = "gw-local";
/// The program's name, where it is looked for next to our own.
const PROGRAM: &str = "berth-gateway";
/// How long to wait before it is started again: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// Having lived for so long, it starts again as if it had never died.
const STEADY: Duration = Duration::from_secs(60);
/// Its nice value: who asks is answered before phones are worked for.
const STANDS_BACK: &str = "10";
/// How long it may take to close its connections.
const GRACE: Duration = Duration::from_secs(10);

/// The node's own variables that it is told by flags, or not at all.
const TOLD_OTHERWISE: [&str; 6] = [
    "BERTH_GATEWAY_ADVERTISE",
    "BERTH_GATEWAY_ID",
    "BERTH_GATEWAY_LISTEN",
    "BERTH_GATEWAY_NICE",
    "BERTH_GATEWAY_ROUTER",
    "BERTH_NODE_TOKEN",
];

/// How the gateway is started.
#[derive(Debug)]
pub(crate) struct Supervisor {
    program: PathBuf,
    settings: LocalGateway,
    log: Log,
    token: SecretString,
    router: String,
}

/// The name and the secret of a local gateway, made for the occasion.
pub(crate) fn credentials() -> Result<(GatewayId, SecretString)> {
    let id = GatewayId::parse(NAME).context("the local gateway's name")?;
    let token = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    Ok((id, token.into()))
}

impl Supervisor {
    /// A supervisor of the gateway program, if there is one.
    pub(crate) fn new(
        settings: LocalGateway,
        log: Log,
        token: SecretString,
        node_listener: SocketAddr,
    ) -> Result<Self> {
        let program = program(settings.program.as_deref())?;
        let router = format!("http://{}", reachable(node_listener));
        Ok(Self { program, settings, log, token, router })
    }

    /// Keeps the gateway running until told to stop; returns when it has ended.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        while !stop.is_cancelled() {
            let began = Instant::now();
            if let Err(error) = self.live_once(&stop).await {
                tracing::error!(%error, program = %self.program.display(), "the local gateway cannot be started");
            }
            if began.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            if stop.run_until_cancelled(sleep(pause)).await.is_some() {
                pause = (pause * 2).min(LAST_PAUSE);
            }
        }
    }

    /// One life of the gateway.
    async fn live_once(&self, stop: &CancellationToken) -> std::io::Result<()> {
        let mut child = self.command().spawn()?;
        // Taken, because waiting for a child closes its standard input first.
        let Some(leash) = child.stdin.take() else {
            return Err(std::io::Error::other("it was given no standard input"));
        };
        tracing::info!(gateway = NAME, pid = child.id(), "the local gateway was started");
        match stop.run_until_cancelled(child.wait()).await {
            Some(status) => {
                let status = status?;
                tracing::warn!(gateway = NAME, %status, "the local gateway died");
                Ok(())
            }
            None => end(child, leash, GRACE).await,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--id", NAME, "--listen", "127.0.0.1:0", "--end-with-stdin"])
            .args(["--nice", STANDS_BACK])
            .args(["--router", &self.router])
            .arg("--data")
            .arg(&self.settings.data);
        if let Some(url) = &self.settings.whatsapp_url {
            command.args(["--whatsapp-url", url]);
        }
        for variable in program_settings::ROUTER_VARIABLES.iter().chain(&TOLD_OTHERWISE) {
            command.env_remove(variable).env_remove(format!("{variable}_FILE"));
        }
        if let Some(filter) = &self.log.filter {
            command.env("BERTH_LOG", filter);
        }
        command
            .env("BERTH_NODE_TOKEN", self.token.expose_secret())
            .env("BERTH_LOG_FORMAT", self.log.format.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            // A Ctrl-C in the terminal is for us: the gateway ends last.
            .process_group(0);
        command
    }
}

/// Lets go of the leash and waits, but not for ever.
async fn end(mut child: Child, leash: ChildStdin, grace: Duration) -> std::io::Result<()> {
    drop(leash);
    let Ok(status) = timeout(grace, child.wait()).await else {
        tracing::warn!(gateway = NAME, "the local gateway did not end in time and is killed");
        return child.kill().await;
    };
    tracing::info!(gateway = NAME, status = %status?, "the local gateway has ended");
    Ok(())
}

fn program(set: Option<&Path>) -> Result<PathBuf> {
    let program = match set {
        Some(path) => path.to_owned(),
        None => std::env::current_exe().context("berth's own place")?.with_file_name(PROGRAM),
    };
    if !program.is_file() {
        bail!("there is no gateway program at {}", program.display());
    }
    Ok(program)
}

/// Where a process on this machine reaches a listener.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_reached_on_loopback() {
        for (listener, reached) in [
            ("0.0.0.0:8081", "127.0.0.1:8081"),
            ("[::]:8081", "[::1]:8081"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("10.0.0.5:8081", "10.0.0.5:8081"),
        ] {
            assert_eq!(reachable(listener.parse().unwrap()), reached.parse().unwrap());
        }
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_killed() {
        let mut command = Command::new("sleep");
        let mut deaf = command.arg("600").stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let leash = deaf.stdin.take().unwrap();
        let ending = end(deaf, leash, Duration::from_millis(50));
        timeout(Duration::from_secs(20), ending).await.expect("still running").unwrap();
    }

    #[test]
    fn no_two_occasions_share_a_secret() {
        let ((_, a), (_, b)) = (credentials().unwrap(), credentials().unwrap());
        assert_eq!(a.expose_secret().len(), 64);
        assert_ne!(a.expose_secret(), b.expose_secret());
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = program(Some(Path::new("nowhere/berth-gateway"))).unwrap_err().to_string();
        assert!(error.contains("nowhere/berth-gateway"), "{error}");
    }
}
