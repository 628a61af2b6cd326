//! How the process is told to end: the first signal asks, the second does not.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::telemetry;

/// What a shell reports for a process that ended on an interrupt.
const INTERRUPTED: i32 = 130;

/// The signals that end the process: SIGTERM and SIGINT.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn asked_to_end(&mut self) {
        let name = self.next().await;
        tracing::info!(signal = name, "ending; a second signal ends at once");
    }

    /// From here on a signal ends the process where it stands. A local gateway then ends by itself,
    /// for the pipe that holds it breaks.
    pub(crate) fn end_at_once_when_asked_again(mut self) {
        tokio::spawn(async move {
            let name = self.next().await;
            tracing::warn!(signal = name, "ending at once");
            telemetry::end();
            std::process::exit(INTERRUPTED);
        });
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
