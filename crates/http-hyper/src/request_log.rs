//! The access log of the API: one log line and one count for each request.
//!
//! Both name the path template or the operation, never the path: paths carry ids, and metric labels
//! need few values.

use std::{error::Error as _, sync::OnceLock, time::Duration};

use domain::{Actor, Caller, Error};
use gateway_protocol::TraceParent;
use http_listener::{AccessLog, FinishedRequest};
use hyper::Method;

use crate::response::problem::Problem;

const REQUESTS: &str = "berth_http_requests_total";
const DURATION: &str = "berth_http_request_duration_seconds";

/// The facts about one request that the access log names. Each is set at most once.
#[derive(Debug, Default)]
pub struct RequestLog {
    route: OnceLock<RouteLabels>,
    sender: OnceLock<RequestSender>,
    refused: OnceLock<&'static str>,
    cause: OnceLock<String>,
    trace_id: OnceLock<String>,
}

/// The route of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteLabels {
    pub(crate) template: &'static str,
    pub(crate) operation: &'static str,
    /// Whether programs send such requests at intervals. Successful ones are logged at level debug
    /// only.
    pub(crate) routine: bool,
}

/// The labels of a request for an unknown path.
const NO_ROUTE: RouteLabels = RouteLabels { template: "", operation: "", routine: false };

#[derive(Debug)]
struct RequestSender {
    organization: String,
    actor: String,
}

impl RequestLog {
    pub(crate) fn set_route(&self, route: RouteLabels) {
        let _ = self.route.set(route);
    }

    pub(crate) fn set_caller(&self, caller: &Caller) {
        let organization = caller.organization.as_ref().map_or("", |o| o.as_str()).to_owned();
        let actor = match &caller.actor {
            Actor::User(user) => format!("user:{}", user.as_ref().map_or("", |u| u.as_str())),
            Actor::Key(key) => format!("key:{key}"),
            Actor::Link(link) => format!("link:{link}"),
            Actor::Operator => "operator".to_owned(),
            Actor::System => "system".to_owned(),
        };
        let _ = self.sender.set(RequestSender { organization, actor });
    }

    pub(crate) fn set_node(&self, gateway: &str) {
        let actor = format!("gateway:{gateway}");
        let _ = self.sender.set(RequestSender { organization: String::new(), actor });
    }

    /// Sets the reason why the credential was not accepted, which responses do not state.
    pub(crate) fn set_refused(&self, reason: &'static str) {
        let _ = self.refused.set(reason);
    }

    /// Sets the id of the trace that the request belongs to.
    pub(crate) fn set_trace(&self, trace: &TraceParent) {
        let _ = self.trace_id.set(trace.trace_id().to_owned());
    }

    /// Sets the cause of a failure of the server; ignores problems that the caller caused.
    pub(crate) fn set_problem(&self, problem: &Problem) {
        if let Some(cause) = server_cause(problem) {
            let _ = self.cause.set(cause);
        }
    }
}

impl AccessLog for RequestLog {
    fn write(&self, request: &FinishedRequest<'_>) {
        if let Some(rejection) = request.rejection {
            self.set_problem(&Problem::from(rejection));
        }
        let route = self.route.get().copied().unwrap_or(NO_ROUTE);
        let (organization, actor) =
            self.sender.get().map_or(("", ""), |s| (s.organization.as_str(), s.actor.as_str()));
        let (refused, cause) = (self.refused.get().copied(), self.cause.get().map(String::as_str));
        let (status, bytes) = (request.status.map(|status| status.as_u16()), request.bytes);
        // A peer that reads slowly does not make the operation slow.
        count(route.operation, status, request.response_time);
        let (duration_ms, aborted) =
            (whole_millis(request.duration), request.aborted.then_some(true));
        // The level is part of the static description of a log line; therefore one macro, used
        // three times.
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    method = method_label(request.method),
                    route = route.template,
                    operation = route.operation,
                    status,
                    duration_ms,
                    bytes,
                    aborted,
                    organization,
                    actor,
                    request_id = request.id.as_str(),
                    trace_id = self.trace_id.get().map(String::as_str),
                    refused,
                    cause,
                    "request"
                )
            };
        }
        match status {
            Some(500..) => event!(warn),
            Some(..400) if route.routine && !request.aborted => event!(debug),
            Some(_) => event!(info),
            // The caller hung up. An unsafe request continues without its caller.
            None => event!(info),
        }
    }
}

/// Counts a request whose response was ready after `duration`. `status` is `None` when the caller
/// closed the connection before.
fn count(operation: &'static str, status: Option<u16>, duration: Duration) {
    let status = status.map(|status| status.to_string()).unwrap_or_default();
    metrics::counter!(REQUESTS, "operation" => operation, "status" => status).increment(1);
    metrics::histogram!(DURATION, "operation" => operation).record(duration);
}

/// Returns the cause of a problem that the server is responsible for, down to its root. Responses
/// state the faults of callers themselves.
fn server_cause(problem: &Problem) -> Option<String> {
    let mut text = match problem {
        Problem::Domain(Error::Internal(_) | Error::Unavailable { .. }) | Problem::Panicked(_) => {
            problem.to_string()
        }
        Problem::DeadlineExceeded => "the request took longer than requests may".to_owned(),
        Problem::Overloaded => "too many requests are worked on already".to_owned(),
        _ => return None,
    };
    let mut next = problem.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    Some(text)
}

/// Returns the method, or `OTHER` for a method that callers may have invented.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
