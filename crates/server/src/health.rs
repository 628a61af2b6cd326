//! `berth health`: asks the operator listener of a running `berth`, for probes without a shell.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    cli::Health,
    config,
    local_gateway::loopback_address,
    settings::{Flags, Settings},
};

/// Time limit for the connection and for each read. `/readyz` answers within 5 s.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Maximum length of an answer, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

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

/// Sends a GET to the operator listener and returns the body of a 200.
///
/// # Errors
/// When the service does not answer 200; the message has the body.
pub(crate) fn ask(listener: SocketAddr, path: &str) -> Result<String> {
    let address = loopback_address(listener);
    let answer = exchange(address, path)
        .with_context(|| format!("the operator listener {address} does not answer"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        bail!("{path} answers {status}: {}", body.trim());
    }
    Ok(body.to_owned())
}

fn exchange(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
