//! Reports the state of the router to the service manager and to the metrics: ready, alive, stopping.
//!
//! A database that does not answer does not count against the watchdog: a restart would not repair the
//! database, and would close all connections. The watchdog ends a router whose tasks no longer run.

use std::sync::Arc;

use http_hyper::Readiness as _;
use metrics::{describe_gauge, gauge};
use service_notify::ServiceManager;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::readiness::RouterReadiness;

/// Time between two checks until the router is ready.
const FIRST_INTERVAL: std::time::Duration = std::time::Duration::from_millis(100);

/// Reports until `stop` is cancelled.
pub(crate) async fn run(readiness: Arc<RouterReadiness>, stop: CancellationToken) {
    describe_gauge!("berth_ready", "1 while the last check of /readyz succeeded, else 0");
    let manager = ServiceManager::of_process();
    let stopping = readiness.shutting_down.clone();
    let (mut ready_sent, mut stopping_sent) = (false, false);
    loop {
        let began = Instant::now();
        if stopping.is_cancelled() {
            if !stopping_sent {
                manager.stopping();
            }
            stopping_sent = true;
            manager.alive("stopping");
        } else {
            let checks = readiness.checks().await;
            let ready = checks.iter().all(|check| check.ready);
            gauge!("berth_ready").set(f64::from(u8::from(ready)));
            let failed = checks.iter().find(|check| !check.ready);
            let status = failed.map_or_else(
                || "serving".to_owned(),
                |check| format!("serving, but not ready: {}", check.name),
            );
            if failed.is_none() && !ready_sent {
                manager.ready(&status);
                ready_sent = true;
            }
            manager.alive(&status);
        }
        let interval = if ready_sent { manager.interval() } else { FIRST_INTERVAL };
        tokio::select! {
            () = sleep_until(began + interval) => {}
            () = stopping.cancelled(), if !stopping_sent => {}
            () = stop.cancelled() => return,
        }
    }
}
