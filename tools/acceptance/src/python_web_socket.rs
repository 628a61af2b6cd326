//! A WebSocket client that is not ours: Python's library `websockets`.

use std::{fs, path::PathBuf, process::ExitStatus, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::{client::Api, process::Process, wait, workspace::Workspace};

use crate::python;

/// The label of the event after which the client ends.
pub const LAST: &str = "last";

/// A running client.
#[derive(Debug)]
pub struct PythonWebSocket {
    process: Process,
    log: PathBuf,
}

impl PythonWebSocket {
    /// Starts a client that gets its tickets from the deployment of `api`, opens its connections at
    /// this URL, and begins at the oldest event.
    ///
    /// # Errors
    /// When Python is missing.
    pub fn start(api: &Api, sockets: &str) -> Result<Self> {
        let workspace = Workspace::find()?;
        let python = python::ready(&workspace)?;
        let mut command = python.command(&workspace.root.join("tools/acceptance/clients"));
        let key = api.credential().context("a ticket needs a credential")?;
        command
            .arg("web_socket.py")
            .env("BERTH_URL", api.base())
            .env("BERTH_SOCKET_URL", sockets)
            .env("BERTH_KEY", key.text());
        let log = format!("web-socket-{}.log", port_of(sockets));
        let log = workspace.scratch("logs")?.join(log);
        fs::write(&log, "")?;
        let process = Process::spawn("the Python client", &mut command, Some(&log))?;
        Ok(Self { process, log })
    }

    /// Waits until the client has ended, and returns the events in the order in which it got them.
    ///
    /// # Errors
    /// When the client fails or does not end in time; with its output.
    pub fn finish(mut self, patience: Duration) -> Result<Vec<Value>> {
        let ended: Result<ExitStatus> =
            wait::until("the Python client ends", patience, || self.process.ended());
        let text = fs::read_to_string(&self.log)?;
        let succeeded = ended.with_context(|| text.clone())?.success();
        ensure!(succeeded, "the Python client failed:\n{text}");
        // The other lines tell of cuts.
        let events = text.lines().filter(|line| line.starts_with('{'));
        events.map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

/// Returns the port in a URL, which names a log that no other client uses.
fn port_of(url: &str) -> &str {
    url.rsplit(':').next().and_then(|rest| rest.split('/').next()).unwrap_or_default()
}
