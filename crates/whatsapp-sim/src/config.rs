//! The settings of a simulated network. The defaults are WhatsApp's values, where those are known.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The settings of one simulated network.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address of the chat socket. Loopback only; port 0 selects a free port.
    pub listen: SocketAddr,
    /// The text from which the root, intermediate and server keys are derived, so that they are the
    /// same in every run. `None`: random keys, or those of the state file.
    pub trust_anchor_seed: Option<String>,
    /// The file that stores keys, phones and linked devices between runs. `None`: nothing is
    /// stored.
    pub state: Option<PathBuf>,
    /// The number of QR references that an unlinked client gets.
    pub refs: usize,
    /// How long the first reference can be scanned. Each further reference expires
    /// `next_ref_lifetime` after the one before it.
    pub first_ref_lifetime: Duration,
    /// How long each further reference can be scanned after the one before it has expired.
    pub next_ref_lifetime: Duration,
    /// How long a pairing code can be entered after the client's request.
    pub code_lifetime: Duration,
    /// How long a phone with an entered code waits for the client's request. Clients show a code as
    /// soon as they have sent the request, which may still be in flight.
    pub code_request_timeout: Duration,
    /// How long a phone waits for the client's part of linking.
    pub companion_timeout: Duration,
    /// The pause between the end of linking and the restart that WhatsApp orders (code 515). An
    /// immediate restart can overtake the client's own handling of the link.
    pub restart_pause: Duration,
    /// The duration of a ban.
    pub ban: Duration,
    /// The number of logins that an `unavailable` kick refuses.
    pub unavailable_logins: u32,
    /// How long a client may take to finish the handshake.
    pub handshake_deadline: Duration,
    /// How long a connection may be silent before it is closed.
    pub idle_deadline: Duration,
    /// The largest frame that is read, in bytes.
    pub max_frame: usize,
    /// The maximum number of open sockets.
    pub max_connections: usize,
    /// The maximum number of phones.
    pub max_phones: usize,
    /// The maximum number of devices of one phone. WhatsApp's own limit is four; device ids end at
    /// 255.
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
