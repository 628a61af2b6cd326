//! Free ports on loopback.

use std::{
    net::TcpListener,
    process,
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Context as _, Result};

/// Below the range that systems take outgoing ports from, so that no connection of a test can take
/// the port of a server that is just being restarted.
const FIRST: u16 = 21_000;
const COUNT: u16 = 10_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port nobody listens on now, and that is not given out again soon.
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
