//! What a simulated network can be told at its start; every default is what WhatsApp does, where
//! that is known.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The settings of one simulated network.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the chat socket listens. Loopback only; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Derives root, intermediate and server keys from this text, so that they are the same in
    /// every run.
    pub trust_anchor_seed: Option<String>,
    /// Remembers keys, phones and linked devices in this file from one run to the next.
    pub state: Option<PathBuf>,
    /// How many QR references an unlinked client is offered.
    pub refs: usize,
    /// How long the first reference can be scanned. Each further one lives as long after the one
    /// before it as `next_ref_lifetime` says.
    pub first_ref_lifetime: Duration,
    /// How long each reference after the first can be scanned once the one before it has ended.
    pub next_ref_lifetime: Duration,
    /// How long a pairing code can be typed after the client asked for it.
    pub code_lifetime: Duration,
    /// How long a person who types a code waits for the client to have asked for one. Clients show
    /// a code as soon as they have sent their wish, which may still be on its way.
    pub code_request_timeout: Duration,
    /// How long a phone waits for the client's part of linking before it gives up.
    pub companion_timeout: Duration,
    /// The pause between the end of a linking and the restart that WhatsApp orders (code 515). Sent
    /// at once it can overtake the client's own handling of the linking.
    pub restart_pause: Duration,
    /// How long a ban lasts.
    pub ban: Duration,
    /// How many logins an `unavailable` kick refuses.
    pub unavailable_logins: u32,
    /// How long a client may take to finish the handshake.
    pub handshake_deadline: Duration,
    /// How long a connection may be silent before it is closed.
    pub idle_deadline: Duration,
    /// The largest frame read, in bytes.
    pub max_frame: usize,
    /// How many sockets may be open at once.
    pub max_connections: usize,
    /// How many phones there may be.
    pub max_phones: usize,
    /// How many devices one phone may link. WhatsApp's own limit is four; device ids end at 255.
    pub max_devices: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            trust_anchor_seed: None,
            state: None,
            refs: 6,
            first_ref_lifetime: Duration::from_secs(70),
            next_ref_lifetime: Duration::from_secs(20),
            code_lifetime: Duration::from_secs(180),
            code_request_timeout: Duration::from_secs(1),
            companion_timeout: Duration::from_secs(20),
            restart_pause: Duration::from_millis(50),
            ban: Duration::from_secs(3600),
            unavailable_logins: 1,
            handshake_deadline: Duration::from_secs(20),
            idle_deadline: Duration::from_secs(600),
            max_frame: 2 * 1024 * 1024,
            max_connections: 16_384,
            max_phones: 16_384,
            max_devices: 32,
        }
    }
}
