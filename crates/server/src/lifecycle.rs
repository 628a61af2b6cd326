//! Signals: the first one stops the process in order, the second one stops it at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::telemetry;

/// The exit code that a shell reports for a process that an interrupt ended.
const EXIT_INTERRUPTED: i32 = 130;

/// The signals that stop the process: SIGTERM and SIGINT.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to handle the signals. From now on they no longer end the process by default.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the first signal.
    pub(crate) async fn stop_requested(&mut self) {
        let name = self.next().await;
        tracing::info!(signal = name, "ending; a second signal ends at once");
    }

    /// Lets the next signal exit the process at once. A local gateway then ends by itself, because
    /// its standard input closes.
    pub(crate) fn exit_on_next_signal(mut self) {
        tokio::spawn(async move {
            let name = self.next().await;
            tracing::warn!(signal = name, "ending at once");
            telemetry::end();
            std::process::exit(EXIT_INTERRUPTED);
        });
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
