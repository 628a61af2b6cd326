//! One log line and one count a request, whatever becomes of it.
//!
//! They name the route's template or its operation, never the path: paths carry ids, and labels must be
//! few.

use std::{
    error::Error as _,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use domain::{Actor, Caller, Error};
use hyper::{Method, StatusCode};

use crate::{
    listener::request_id::RequestId, request_metrics::RequestMetrics, response::problem::Problem,
    response::reply::Reply,
};

/// What is learnt of a request while it is worked on.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    route: OnceLock<RouteLabels>,
    sender: OnceLock<RequestSender>,
    refused: OnceLock<&'static str>,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteLabels {
    pub(crate) template: &'static str,
    pub(crate) operation: &'static str,
    /// Asked all the time by machines: told only at debug level while all is well.
    pub(crate) routine: bool,
}

#[derive(Debug)]
struct RequestSender {
    organization: String,
    actor: String,
}

impl RequestLog {
    /// It goes here.
    pub(crate) fn set_route(&self, route: RouteLabels) {
        // Each is learnt once: a second word cannot be.
        let _ = self.route.set(route);
    }

    /// This caller sent it.
    pub(crate) fn set_caller(&self, caller: &Caller) {
        let organization = caller.organization.as_ref().map_or("", |o| o.as_str()).to_owned();
        let actor = match &caller.actor {
            Actor::User(user) => format!("user:{}", user.as_ref().map_or("", |u| u.as_str())),
            Actor::Key(key) => format!("key:{key}"),
            Actor::Operator => "operator".to_owned(),
            Actor::System => "system".to_owned(),
        };
        let _ = self.sender.set(RequestSender { organization, actor });
    }

    /// This node sent it.
    pub(crate) fn set_node(&self, gateway: &str) {
        let actor = format!("gateway:{gateway}");
        let _ = self.sender.set(RequestSender { organization: String::new(), actor });
    }

    /// Its credential was not accepted, and callers are not told why.
    pub(crate) fn set_refused(&self, cause: &'static str) {
        let _ = self.refused.set(cause);
    }
}

/// A request under way. Leaves its line when closed, and also when dropped before.
#[derive(Debug)]
pub(crate) struct AccessLogGuard<'a> {
    method: &'static str,
    id: &'a RequestId,
    log: Arc<RequestLog>,
    metrics: &'a RequestMetrics,
    since: Instant,
    closed: bool,
}

impl<'a> AccessLogGuard<'a> {
    pub(crate) fn open(
        method: &Method,
        id: &'a RequestId,
        log: Arc<RequestLog>,
        metrics: &'a RequestMetrics,
    ) -> Self {
        let method = method_label(method);
        Self { method, id, log, metrics, since: Instant::now(), closed: false }
    }

    /// It ended with this reply, because of `problem` if it ended badly.
    pub(crate) fn close(mut self, reply: &Reply, problem: Option<&Problem>) {
        self.closed = true;
        let cause = problem.and_then(log_cause);
        self.write(Some(reply.status), reply.body.len(), cause.as_deref());
    }

    fn write(&self, status: Option<StatusCode>, bytes: usize, cause: Option<&str>) {
        let unknown = RouteLabels { template: "", operation: "", routine: false };
        let route = self.log.route.get().copied().unwrap_or(unknown);
        let (organization, actor) =
            self.log.sender.get().map_or(("", ""), |w| (w.organization.as_str(), w.actor.as_str()));
        let refused = self.log.refused.get().copied();
        let (status, id) = (status.map(|status| status.as_u16()), self.id.as_str());
        let duration = self.since.elapsed();
        self.metrics.record(route.operation, status, duration);
        let duration_ms = whole_millis(duration);
        // The level is part of a line's static description, hence one macro and three uses of it.
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    method = self.method,
                    route = route.template,
                    operation = route.operation,
                    status,
                    duration_ms,
                    bytes,
                    organization,
                    actor,
                    request_id = id,
                    refused,
                    cause,
                    "request"
                )
            };
        }
        match status {
            Some(500..) => event!(warn),
            Some(..400) if route.routine => event!(debug),
            Some(_) => event!(info),
            // The caller hung up; what it had asked for goes on without it.
            None => event!(info),
        }
    }
}

impl Drop for AccessLogGuard<'_> {
    fn drop(&mut self) {
        if !self.closed {
            self.write(None, 0, None);
        }
    }
}

/// Why it is our fault, to the root of it. What callers did wrong they are told themselves.
fn log_cause(problem: &Problem) -> Option<String> {
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

/// Methods anybody may make up are one method here.
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
