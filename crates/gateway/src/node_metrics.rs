//! The metrics of the node. No label names a session, an organization or a person.
//!
//! Without a listener for operators there is no recorder, and nothing is counted.

use std::time::Duration;

use gateway_protocol::{JournalStats, Status};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use rustix::process::{Resource, getrlimit};

use crate::{fleet::Fleet, reconnects, telemetry, version::VERSION};

/// Time limit for the state of the journal, which a full disk or a long write may delay.
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(1);
/// The open files of the process (Linux).
const OPEN_FILES: &str = "/proc/self/fd";

/// Every status with its name in labels, as the protocol and the API spell it.
const STATUSES: [(Status, &str); 5] = [
    (Status::Stopped, "stopped"),
    (Status::Starting, "starting"),
    (Status::ScanQrCode, "scan_qr_code"),
    (Status::Working, "working"),
    (Status::Failed, "failed"),
];

/// Describes the metrics, and sets those that do not change. A counter that exists from the start shows its
/// first increment as an increase.
pub(crate) fn describe(capacity: u32) {
    describe_gauge!(
        "berth_node_build_info",
        "always 1; the label has the version of berth-gateway"
    );
    gauge!("berth_node_build_info", "version" => VERSION).set(1.0);
    describe_gauge!("berth_node_capacity", "maximum number of sessions of the node");
    gauge!("berth_node_capacity").set(f64::from(capacity));
    describe_gauge!("berth_node_registered", "1 while the node has a lease of a router, else 0");
    describe_gauge!("berth_node_sessions", "sessions that the node holds, by status");
    describe_gauge!(
        "berth_node_journal_items",
        "items of the journal that the router has not acknowledged"
    );
    describe_gauge!("berth_node_journal_bytes", "size of these items in bytes");
    describe_gauge!("berth_node_journal_oldest_seconds", "age of the oldest of these items");
    describe_histogram!("berth_keys_commit_seconds", "duration of a transaction of device keys");
    describe_gauge!("berth_keys_queue", "writes of device keys that wait for their commit");
    describe_histogram!("berth_journal_commit_seconds", "duration of a transaction of the journal");
    describe_gauge!("berth_journal_queue", "writes of the journal that wait for their commit");
    reconnects::describe();
    describe_gauge!(
        "berth_open_files",
        "open files of the process (open) and their maximum (limit)"
    );
    describe_counter!(
        "berth_log_lines_dropped_total",
        "log lines dropped because standard error was not read in time"
    );
    describe_counter!(
        "berth_connections_evicted_total",
        "connections to the listeners that were closed for lack of room (connections, answers) or because \
         the peer did not read its answer (stalled), by reason"
    );
    for reason in ["connections", "answers", "stalled"] {
        counter!("berth_connections_evicted_total", "reason" => reason).absolute(0);
    }
}

/// Measures what the node does not count as it happens.
pub(crate) async fn measure(fleet: &Fleet) {
    for (status, name) in STATUSES {
        gauge!("berth_node_sessions", "status" => name).set(number(fleet.count_of(status)));
    }
    gauge!("berth_node_registered").set(f64::from(u8::from(fleet.is_registered())));
    // Without an answer in time, the figures stay those of the last answer.
    if let Ok(stats) = tokio::time::timeout(JOURNAL_TIMEOUT, fleet.journal_stats()).await {
        measure_journal(&stats);
    }
    let limit = getrlimit(Resource::Nofile).current;
    gauge!("berth_open_files", "kind" => "limit").set(limit.map_or(f64::INFINITY, float));
    if let Ok(open) = std::fs::read_dir(OPEN_FILES) {
        gauge!("berth_open_files", "kind" => "open").set(number(open.count()));
    }
    counter!("berth_log_lines_dropped_total").absolute(telemetry::dropped());
}

fn measure_journal(stats: &JournalStats) {
    gauge!("berth_node_journal_items").set(float(stats.items));
    gauge!("berth_node_journal_bytes").set(float(stats.bytes));
    let oldest = Duration::from_millis(stats.oldest_ms.unwrap_or(0));
    gauge!("berth_node_journal_oldest_seconds").set(oldest.as_secs_f64());
}

fn number(count: usize) -> f64 {
    float(count as u64)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_spelled_as_in_the_protocol() {
        for (status, name) in STATUSES {
            assert_eq!(serde_json::to_value(status).unwrap(), name);
        }
    }
}
