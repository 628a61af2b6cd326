//! The client of `health`: asks the operator listener of a running program, for probes without a shell.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

/// Time limit for the connection and for each read. `/readyz` answers within 5 s.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Maximum length of an answer, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// Sends a GET to the operator listener of a program on this machine, and returns the body of a 200.
///
/// # Errors
/// Fails when the program does not answer 200; the message has the body of another status.
pub fn ask(listener: SocketAddr, path: &str) -> Result<String> {
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

/// Returns the address at which a process on this machine reaches a listener.
pub fn loopback_address(listener: SocketAddr) -> SocketAddr {
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
    fn unspecified_address_becomes_loopback() {
        for (listener, reached) in [
            ("0.0.0.0:8081", "127.0.0.1:8081"),
            ("[::]:8081", "[::1]:8081"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("10.0.0.5:8081", "10.0.0.5:8081"),
        ] {
            assert_eq!(loopback_address(listener.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
