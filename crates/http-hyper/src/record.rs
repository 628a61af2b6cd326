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

use crate::{problem::Problem, reply::Reply, request_id::RequestId, tally::Tally};

/// What is learnt of a request while it is worked on.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    route: OnceLock<Route>,
    who: OnceLock<Who>,
    refused: OnceLock<&'static str>,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) template: &'static str,
    pub(crate) operation: &'static str,
    /// Asked all the time by machines: told only at debug level while all is well.
    pub(crate) routine: bool,
}

#[derive(Debug)]
struct Who {
    organization: String,
    actor: String,
}

impl Notes {
    /// It goes here.
    pub(crate) fn route(&self, route: Route) {
        // Each is learnt once: a second word cannot be.
        let _ = self.route.set(route);
    }

    /// This caller sent it.
    pub(crate) fn caller(&self, caller: &Caller) {
        let organization = caller.organization.as_ref().map_or("", |o| o.as_str()).to_owned();
        let actor = match &caller.actor {
            Actor::User(user) => format!("user:{}", user.as_ref().map_or("", |u| u.as_str())),
            Actor::Key(key) => format!("key:{key}"),
            Actor::Operator => "operator".to_owned(),
            Actor::System => "system".to_owned(),
        };
        let _ = self.who.set(Who { organization, actor });
    }

    /// This node sent it.
    pub(crate) fn node(&self, gateway: &str) {
        let actor = format!("gateway:{gateway}");
        let _ = self.who.set(Who { organization: String::new(), actor });
    }

    /// Its credential was not accepted, and callers are not told why.
    pub(crate) fn refused(&self, cause: &'static str) {
        let _ = self.refused.set(cause);
    }
}

/// A request under way. Leaves its line when closed, and also when dropped before.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    method: &'static str,
    id: &'a RequestId,
    notes: Arc<Notes>,
    tally: &'a Tally,
    since: Instant,
    closed: bool,
}

impl<'a> Record<'a> {
    pub(crate) fn open(
        method: &Method,
        id: &'a RequestId,
        notes: Arc<Notes>,
        tally: &'a Tally,
    ) -> Self {
        let method = known(method);
        Self { method, id, notes, tally, since: Instant::now(), closed: false }
    }

    /// It ended with this reply, because of `problem` if it ended badly.
    pub(crate) fn close(mut self, reply: &Reply, problem: Option<&Problem>) {
        self.closed = true;
        let cause = problem.and_then(cause);
        self.write(Some(reply.status), reply.body.len(), cause.as_deref());
    }

    fn write(&self, status: Option<StatusCode>, bytes: usize, cause: Option<&str>) {
        let unknown = Route { template: "", operation: "", routine: false };
        let route = self.notes.route.get().copied().unwrap_or(unknown);
        let (organization, actor) =
            self.notes.who.get().map_or(("", ""), |w| (w.organization.as_str(), w.actor.as_str()));
        let refused = self.notes.refused.get().copied();
        let (status, id) = (status.map(|status| status.as_u16()), self.id.as_str());
        let duration = self.since.elapsed();
        self.tally.count(route.operation, status, duration);
        let duration_ms = millis(duration);
        // The level is part of a line's static description, hence one macro and three uses of it.
        macro_rules! line {
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
            Some(500..) => line!(warn),
            Some(..400) if route.routine => line!(debug),
            Some(_) => line!(info),
            // The caller hung up; what it had asked for goes on without it.
            None => line!(info),
        }
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if !self.closed {
            self.write(None, 0, None);
        }
    }
}

/// Why it is our fault, to the root of it. What callers did wrong they are told themselves.
fn cause(problem: &Problem) -> Option<String> {
    let mut told = match problem {
        Problem::Domain(Error::Internal(_) | Error::Unavailable { .. }) | Problem::Panicked(_) => {
            problem.to_string()
        }
        Problem::DeadlineExceeded => "the request took longer than requests may".to_owned(),
        Problem::Overloaded => "too many requests are worked on already".to_owned(),
        _ => return None,
    };
    let mut next = problem.source();
    while let Some(cause) = next {
        told = format!("{told}: {cause}");
        next = cause.source();
    }
    Some(told)
}

/// Methods anybody may make up are one method here.
fn known(method: &Method) -> &'static str {
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
