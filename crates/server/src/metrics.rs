//! What is counted, for Prometheus: requests, gateways, streams, webhooks, the worker's rounds, and the process.
//!
//! No label names a session, an organization or a person: labels are for ever, and read by others.

use std::path::PathBuf;

use anyhow::Result;
use http_hyper::Exposition;
use metrics::{describe_counter, describe_gauge, describe_histogram};
use program_telemetry::MetricsExporter;

use crate::{session_metrics, telemetry};

/// The counters without labels.
const COUNTERS: [&str; 3] =
    ["berth_stream_catch_ups_total", "berth_webhook_dead_total", "berth_webhook_leases_lost_total"];

/// The metrics of this process.
pub(crate) struct Metrics {
    exporter: MetricsExporter,
}

impl Metrics {
    /// From here on everything is counted. `data` is the folder of an SQLite database.
    pub(crate) fn start(data: Option<PathBuf>) -> Result<Self> {
        let exporter = MetricsExporter::start(data)?;
        describe();
        // A counter that is there from the start shows its first increment as an increase.
        for counter in COUNTERS {
            metrics::counter!(counter).absolute(0);
        }
        for reason in ["connections", "answers", "stalled"] {
            metrics::counter!("berth_connections_evicted_total", "reason" => reason).absolute(0);
        }
        metrics::gauge!("berth_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Self { exporter })
    }
}

impl Exposition for Metrics {
    fn text(&self) -> String {
        metrics::counter!("berth_log_lines_dropped_total").absolute(telemetry::dropped());
        self.exporter.text()
    }
}

fn describe() {
    describe_gauge!("berth_build_info", "always 1; the label has the version of berth");
    describe_requests();
    describe_gateways();
    session_metrics::describe();
    describe_feed();
    describe_streams();
    describe_webhooks();
    describe_counter!(
        "berth_log_lines_dropped_total",
        "log lines dropped because standard error was not read in time"
    );
    describe_messages();
    describe_gauge!(
        "berth_messages_unsealed",
        "1 while no seal key is configured and messages are stored in plain text, else 0"
    );
    describe_counter!(
        "berth_store_rows_skipped_total",
        "rows that bulk reads skipped because they are unreadable, by table"
    );
    describe_histogram!(
        "berth_store_wait_seconds",
        "wait of a statement for a connection of the pool, or of a write for SQLite's writer"
    );
    describe_gauge!("berth_sqlite_wal_bytes", "length of SQLite's write-ahead log in bytes");
}

fn describe_requests() {
    describe_counter!(
        "berth_http_requests_total",
        "requests by operation and status; the operation is empty for an unknown path, the status \
         for a client that left before the answer"
    );
    describe_histogram!(
        "berth_http_request_duration_seconds",
        "time from the head of a request to its answer, by operation"
    );
    describe_counter!(
        "berth_connections_evicted_total",
        "connections closed for lack of room (connections, answers) or because the peer did not read \
         its answer (stalled), by reason"
    );
}

fn describe_feed() {
    describe_gauge!(
        "berth_feed_behind_seconds",
        "for how long a stored event has waited to be read by streams and webhooks of this router"
    );
    describe_gauge!("berth_feed_ring_bytes", "size of the recent events in memory");
    describe_counter!(
        "berth_stream_catch_ups_total",
        "reads of the database for streams and webhooks that are behind the recent events"
    );
}

fn describe_streams() {
    describe_gauge!("berth_streams", "open event streams by kind (sse, websocket)");
    describe_counter!(
        "berth_stream_closes_total",
        "event streams that ended, by reason (client, stopping, expired, revoked, gone, stalled, protocol, \
          too_large)"
    );
}

fn describe_webhooks() {
    describe_counter!(
        "berth_webhook_attempts_total",
        "requests to receivers of webhooks by outcome (2xx, 3xx, 4xx, 429, 5xx, timeout, dns, blocked, \
         connect, tls, reset, malformed)"
    );
    describe_histogram!(
        "berth_webhook_delivery_seconds",
        "time from an event to its delivery at the first attempt"
    );
    describe_histogram!(
        "berth_webhook_request_seconds",
        "time from the start of a request to a receiver to the head of the response or the failure"
    );
    describe_gauge!(
        "berth_webhook_lag_seconds_max",
        "age of the oldest undelivered event of the webhooks that this router delivers to"
    );
    describe_gauge!(
        "berth_webhook_endpoints",
        "webhooks by state: live (of all organizations), leased (this router delivers to them), failing (of \
         these, those whose receivers do not work), sealed (of these, those whose secrets cannot be opened)"
    );
    describe_gauge!(
        "berth_webhook_lanes",
        "sessions whose events wait for a retry, at the webhooks that this router delivers to"
    );
    describe_counter!("berth_webhook_dead_total", "events that became dead letters");
    describe_gauge!("berth_webhook_in_flight", "requests to receivers that wait for a response");
    describe_histogram!("berth_webhook_flush_seconds", "duration of writes of the progress");
    describe_counter!(
        "berth_webhook_leases_lost_total",
        "leases of webhooks that ended while this router delivered, or whose webhooks were deleted"
    );
}

fn describe_messages() {
    describe_counter!(
        "berth_messages_total",
        "messages by direction and outcome: in received, undecryptable, recovered (decrypted later); out \
         accepted (over the API), typed (on a device of the account), sent, failed"
    );
    describe_counter!("berth_message_failures_total", "messages that were not sent, by reason");
    describe_histogram!(
        "berth_message_sent_seconds",
        "time from the acceptance of a message to WhatsApp's acknowledgement"
    );
    describe_gauge!(
        "berth_message_queue_oldest_seconds",
        "age of the oldest message of all sessions that waits for its sending or its acknowledgement"
    );
}

fn describe_gateways() {
    describe_gauge!("berth_gateway_up", "1 while the gateway sends heartbeats, else 0");
    describe_gauge!("berth_gateway_sessions", "sessions that the gateway holds");
    describe_gauge!("berth_gateway_capacity", "maximum number of sessions of the gateway");
    describe_gauge!(
        "berth_gateway_orphans",
        "sessions that the gateway holds keys of and that are not in the database"
    );
    describe_gauge!(
        "berth_gateway_journal_items",
        "items of the gateway's journal that the router has not acknowledged"
    );
    describe_gauge!("berth_gateway_journal_oldest_seconds", "age of the oldest of these items");
    describe_counter!(
        "berth_node_reports_refused_total",
        "reports of nodes that the store cannot store, by gateway"
    );
    describe_counter!(
        "berth_worker_jobs_total",
        "jobs of the worker by kind (session, retirement, outbox) and outcome (done, failed)"
    );
}
