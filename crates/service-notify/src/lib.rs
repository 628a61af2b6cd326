//! Notifications to the service manager that started the program, in the protocol of `sd_notify(3)`.
//!
//! Without the variable `NOTIFY_SOCKET`, every method does nothing.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use sd_notify::NotifyState;

/// The variables of the protocol. A program removes them from the environment of its children, which are
/// not the service.
pub const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// Time between two reports without a watchdog, and its maximum with a watchdog.
const MAX_INTERVAL: Duration = Duration::from_secs(10);

/// The service manager that started the program, such as systemd.
#[derive(Debug)]
pub struct ServiceManager {
    interval: Duration,
    /// Whether a failure was logged.
    failed: AtomicBool,
}

impl ServiceManager {
    /// Reads the watchdog of this process from the environment.
    pub fn of_process() -> Self {
        // Three reports fit into the time of the watchdog, so that a late report ends no service.
        let watchdog = sd_notify::watchdog_enabled().map(|timeout| timeout / 3);
        let interval = watchdog.unwrap_or(MAX_INTERVAL).min(MAX_INTERVAL);
        Self { interval, failed: AtomicBool::new(false) }
    }

    /// Returns the time after which the next [`alive`](Self::alive) is due.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Reports that the service answers requests.
    pub fn ready(&self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// Reports that the service is alive, with one line for people.
    pub fn alive(&self, status: &str) {
        self.send(&[NotifyState::Watchdog, NotifyState::Status(status)]);
    }

    /// Reports that the service ends.
    pub fn stopping(&self) {
        self.send(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }

    /// Sends a notification. The first failure is logged: the service works without notifications until
    /// the service manager ends it.
    fn send(&self, states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states)
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, "the service manager cannot be notified");
        }
    }
}
