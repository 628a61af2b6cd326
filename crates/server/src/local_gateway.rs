//! The local gateway: a child process that starts with berth, restarts when it ends, and stops
//! last.
//!
//! The standard input of the gateway is a pipe from berth. The gateway ends when the pipe closes,
//! so that it never outlives berth, not even after `kill -9`. Two gateways never share keys,
//! because a gateway locks its data folder.
//!
//! Decision: ADR 0001.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use domain::GatewayId;
use program_telemetry::loopback_address;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    process::{Child, ChildStdin, Command},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::config::{LocalGateway, Log};

/// The id of the local gateway.
const GATEWAY_ID: &str = "gw-local";
/// The file name of the program, in the folder of the `berth` program.
const PROGRAM_NAME: &str = "berth-gateway";
/// The first delay before a restart; doubles up to the maximum.
const FIRST_RESTART_DELAY: Duration = Duration::from_millis(200);
const MAX_RESTART_DELAY: Duration = Duration::from_secs(10);
/// A gateway that ran for this time restarts with the first delay.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// The nice level of the gateway: API requests get priority over work for phones.
const NICE_LEVEL: &str = "10";
/// The time that the gateway gets to close its connections.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Variables of the node that berth passes as flags or not at all.
const REMOVED_VARIABLES: [&str; 9] = [
    "BERTH_GATEWAY_ADVERTISE",
    "BERTH_GATEWAY_ID",
    "BERTH_GATEWAY_LISTEN",
    "BERTH_GATEWAY_NICE",
    "BERTH_GATEWAY_OPS_LISTEN",
    "BERTH_GATEWAY_ROUTER",
    "BERTH_GATEWAY_TLS_CERT",
    "BERTH_GATEWAY_TLS_KEY",
    "BERTH_NODE_TOKEN",
];

/// Starts and restarts the local gateway.
#[derive(Debug)]
pub(crate) struct Supervisor {
    program: PathBuf,
    settings: LocalGateway,
    log: Log,
    token: SecretString,
    router: String,
}

/// Returns the id of the local gateway and a new random token.
pub(crate) fn credentials() -> Result<(GatewayId, SecretString)> {
    let id = GatewayId::parse(GATEWAY_ID).context("the local gateway's name")?;
    let token = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    Ok((id, token.into()))
}

impl Supervisor {
    /// Creates a supervisor.
    ///
    /// # Errors
    /// If the program does not exist.
    pub(crate) fn new(
        settings: LocalGateway,
        log: Log,
        token: SecretString,
        node_listener: SocketAddr,
    ) -> Result<Self> {
        let program = find_program(settings.program.as_deref())?;
        let router = format!("http://{}", loopback_address(node_listener));
        Ok(Self { program, settings, log, token, router })
    }

    /// Keeps the gateway running until `stop` is cancelled, and waits for its end.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut delay = FIRST_RESTART_DELAY;
        while !stop.is_cancelled() {
            let started_at = Instant::now();
            if let Err(error) = self.run_once(&stop).await {
                tracing::error!(%error, program = %self.program.display(), "the local gateway cannot be started");
            }
            if started_at.elapsed() >= STABLE_AFTER {
                delay = FIRST_RESTART_DELAY;
            }
            if stop.run_until_cancelled(sleep(delay)).await.is_some() {
                delay = (delay * 2).min(MAX_RESTART_DELAY);
            }
        }
    }

    /// Runs the gateway until it ends or `stop` is cancelled.
    async fn run_once(&self, stop: &CancellationToken) -> std::io::Result<()> {
        let mut child = self.command().spawn()?;
        // Taken out, because `Child::wait` closes the standard input first.
        let Some(stdin) = child.stdin.take() else {
            return Err(std::io::Error::other("the child has no standard input"));
        };
        tracing::info!(gateway = GATEWAY_ID, pid = child.id(), "the local gateway was started");
        match stop.run_until_cancelled(child.wait()).await {
            Some(status) => {
                let status = status?;
                tracing::warn!(gateway = GATEWAY_ID, %status, "the local gateway ended unexpectedly");
                Ok(())
            }
            None => stop_child(child, stdin, STOP_TIMEOUT).await,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--id", GATEWAY_ID, "--listen", "127.0.0.1:0", "--end-with-stdin"])
            .args(["--nice", NICE_LEVEL])
            .args(["--router", &self.router])
            .arg("--data")
            .arg(&self.settings.data);
        if let Some(url) = &self.settings.whatsapp_url {
            command.args(["--whatsapp-url", url]);
        }
        for variable in program_settings::ROUTER_VARIABLES.iter().chain(&REMOVED_VARIABLES) {
            command.env_remove(variable).env_remove(format!("{variable}_FILE"));
        }
        // The service manager gets notifications of berth alone.
        for variable in service_notify::VARIABLES {
            command.env_remove(variable);
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
            // A Ctrl-C in the terminal must reach berth only, because the gateway stops last.
            .process_group(0);
        command
    }
}

/// Closes the standard input of the gateway and waits for its end; kills it after `grace`.
async fn stop_child(mut child: Child, stdin: ChildStdin, grace: Duration) -> std::io::Result<()> {
    drop(stdin);
    let Ok(status) = timeout(grace, child.wait()).await else {
        tracing::warn!(gateway = GATEWAY_ID, "the local gateway did not end in time and is killed");
        return child.kill().await;
    };
    tracing::info!(gateway = GATEWAY_ID, status = %status?, "the local gateway has ended");
    Ok(())
}

/// Returns the path of the gateway program.
///
/// # Errors
/// If the file does not exist.
pub(crate) fn find_program(set: Option<&Path>) -> Result<PathBuf> {
    let program = match set {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()
            .context("the path of the berth program")?
            .with_file_name(PROGRAM_NAME),
    };
    if !program.is_file() {
        bail!("there is no gateway program at {}", program.display());
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gateway_that_does_not_end_is_killed() {
        let mut command = Command::new("sleep");
        let mut child =
            command.arg("600").stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let ending = stop_child(child, stdin, Duration::from_millis(50));
        timeout(Duration::from_secs(20), ending).await.expect("still running").unwrap();
    }

    #[test]
    fn credentials_are_random() {
        let ((_, a), (_, b)) = (credentials().unwrap(), credentials().unwrap());
        assert_eq!(a.expose_secret().len(), 64);
        assert_ne!(a.expose_secret(), b.expose_secret());
    }

    #[test]
    fn missing_program_is_named() {
        let error = find_program(Some(Path::new("nowhere/berth-gateway"))).unwrap_err().to_string();
        assert!(error.contains("nowhere/berth-gateway"), "{error}");
    }
}
