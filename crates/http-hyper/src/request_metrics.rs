//! The metrics of requests: their number and duration.

use std::{
    collections::HashMap,
    fmt,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use metrics::{Counter, Histogram};

const REQUESTS: &str = "berth_http_requests_total";
const DURATION: &str = "berth_http_request_duration_seconds";

/// The labels of a request: the operation, empty without a route, and the status, `None` when the
/// caller hung up.
type RequestKind = (&'static str, Option<u16>);

/// The metric handles of each kind of request, created at the first request of the kind. The number
/// of kinds is bounded by the operations and statuses.
#[derive(Default)]
pub(crate) struct RequestMetrics(RwLock<HashMap<RequestKind, (Counter, Histogram)>>);

impl RequestMetrics {
    /// Counts one request whose response was ready after `duration`.
    pub(crate) fn record(&self, operation: &'static str, status: Option<u16>, duration: Duration) {
        let kind = (operation, status);
        let add = |(requests, durations): &(Counter, Histogram)| {
            requests.increment(1);
            durations.record(duration);
        };
        if let Some(handles) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&kind) {
            return add(handles);
        }
        let mut handles_by_kind = self.0.write().unwrap_or_else(PoisonError::into_inner);
        add(handles_by_kind.entry(kind).or_insert_with(|| create_handles(kind)));
    }
}

impl fmt::Debug for RequestMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestMetrics").finish_non_exhaustive()
    }
}

fn create_handles((operation, status): RequestKind) -> (Counter, Histogram) {
    let status = status.map(|status| status.to_string()).unwrap_or_default();
    let requests = metrics::counter!(REQUESTS, "operation" => operation, "status" => status);
    (requests, metrics::histogram!(DURATION, "operation" => operation))
}
