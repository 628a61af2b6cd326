//! The socket of a service manager that a started program notifies.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// A bound socket with the lines that have arrived.
#[derive(Debug)]
pub(crate) struct NotifySocket {
    socket: UnixDatagram,
    lines: Vec<String>,
}

impl NotifySocket {
    /// Binds the socket at a path, for every user.
    pub(crate) fn bind(path: &Path) -> Result<Self> {
        let _ = fs::remove_file(path);
        let socket = UnixDatagram::bind(path).with_context(|| path.display().to_string())?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
        Ok(Self { socket, lines: Vec::new() })
    }

    /// Waits until a line with this start has arrived since the last call, and returns the line. All lines
    /// up to that line are removed.
    pub(crate) fn until(&mut self, start: &str, patience: Duration) -> Result<String> {
        let end = Instant::now() + patience;
        loop {
            if let Some(at) = self.lines.iter().position(|line| line.starts_with(start)) {
                return self.lines.drain(..=at).next_back().context("the line exists");
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("no {start} within {} s, only {:?}", patience.as_secs(), self.lines);
            }
            self.socket.set_read_timeout(Some(left))?;
            let mut buffer = [0; 4096];
            if let Ok(length) = self.socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                self.lines.extend(text.lines().map(str::to_owned));
            }
        }
    }

    /// Forgets the lines that have arrived.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.lines.clear();
        self.socket.set_nonblocking(true)?;
        let mut buffer = [0; 4096];
        while self.socket.recv(&mut buffer).is_ok() {}
        Ok(self.socket.set_nonblocking(false)?)
    }
}
