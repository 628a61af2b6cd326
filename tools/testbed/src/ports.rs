//! Free ports on loopback.

use std::{
    net::TcpListener,
    process,
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Context as _, Result};

/// Below the range of outgoing ports, so that no connection of a test takes the port of a server
/// that restarts.
const FIRST: u16 = 21_000;
const COUNT: u16 = 10_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Returns a port without a listener. The next calls return other ports.
pub fn free() -> Result<u16> {
    let begin = u16::try_from(process::id() % u32::from(COUNT)).unwrap_or_default();
    (0..COUNT)
        .map(|_| {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
            FIRST + (begin + step * 7) % COUNT
        })
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("no free port on loopback")
}
