//! The treaty's router side: what gateway nodes say, on a listener of their own.
//!
//! A node's token speaks for its own name alone. Refusals are the treaty's, not the API's; which
//! nodes there are is nobody's business, so an unknown name and a wrong token are one answer.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    Error, GatewayId, HeartbeatOutcome, Nodes, RefusedReport, ReportOutcome, ports::Environment,
};
use gateway_protocol as treaty;
use hyper::{Method, StatusCode, Uri, header};
use serde::de::DeserializeOwned;

use crate::{
    limits::Limits,
    node_tokens::NodeTokens,
    payload::JSON,
    problem::{Problem, Result},
    record::Route,
    reply::Reply,
    routes::{Hit, Routes},
    service::{Door, Site, Visit},
    shares::Holder,
};

/// How long an incarnation's name may be, in bytes.
const MAX_INCARNATION: usize = 100;

/// What a node may say.
#[derive(Clone, Copy, Debug)]
enum Call {
    Enlist,
    Beat,
    Report,
}

/// The table of the nodes' listener.
const CALLS: [(&str, &str, Call); 3] = [
    ("/node/v1/gateways/{gateway}:enlist", "node_enlist", Call::Enlist),
    ("/node/v1/gateways/{gateway}:beat", "node_beat", Call::Beat),
    ("/node/v1/gateways/{gateway}:report", "node_report", Call::Report),
];

/// The nodes' side of the router over the domain's use cases.
#[derive(Clone)]
pub struct NodeApi {
    nodes: Nodes,
    tokens: NodeTokens,
    environment: Arc<dyn Environment>,
}

impl NodeApi {
    /// The nodes' side over these.
    pub fn new(nodes: Nodes, tokens: NodeTokens, environment: Arc<dyn Environment>) -> Self {
        Self { nodes, tokens, environment }
    }

    /// Its listener; see [`Limits::for_nodes`].
    pub fn door(&self, limits: Limits) -> Door {
        let rows = CALLS.map(|row| (Method::POST, row.0, row));
        let routes = Routes::of(rows);
        let (nodes, tokens) = (self.nodes.clone(), self.tokens.clone());
        let site = NodeSite { routes, nodes, tokens, names: RandomState::new() };
        Door::new(Arc::new(site), self.environment.clone(), limits)
    }
}

struct NodeSite {
    routes: Routes<(&'static str, &'static str, Call)>,
    nodes: Nodes,
    tokens: NodeTokens,
    /// Places are counted by names' hashes, under a key of this process.
    names: RandomState,
}

#[async_trait]
impl Site for NodeSite {
    async fn answer(&self, visit: &mut Visit) -> Result<Reply> {
        let hit = self.routes.find(&visit.head.method, visit.head.uri.path())?;
        let ((template, operation, call), path) = match hit {
            Hit::Row(row, path) => (row, path),
            Hit::Options(allow) => return Ok(Reply::no_content().with(header::ALLOW, allow)),
        };
        visit.notes.route(Route { template, operation, routine: true });
        let node = self.admit(path.get("gateway"), visit)?;
        visit.activity.authenticate();
        let (head, places) = (visit.take_head(), visit.places.clone());
        let name = self.names.hash_one(&node);
        let holder = Holder { group: name, member: name };
        let body = visit.payload.text(&head.headers, &JSON, || places.waiting(holder)).await?;
        let _place = places.work(holder)?;
        match call {
            Call::Enlist => self.enlist(node, &body).await,
            Call::Beat => self.beat(&node, &body).await,
            Call::Report => self.report(&node, &body).await,
        }
    }

    fn word(&self, problem: &Problem) -> Reply {
        let (status, code) = refusal(problem);
        let worded = problem.reply();
        let message = match problem {
            Problem::Domain(Error::Validation(faults)) => {
                faults.first().map_or_else(|| problem.to_string(), |fault| fault.reason.clone())
            }
            _ => problem.to_string(),
        };
        let refusal = treaty::Refusal { code, message };
        let mut reply = Reply::json(status, &refusal).unwrap_or_else(|_| worded.clone());
        for (name, value) in &worded.headers {
            if name != header::CONTENT_TYPE {
                reply.headers.insert(name, value.clone());
            }
        }
        reply
    }
}

impl NodeSite {
    /// The node that speaks.
    fn admit(&self, name: &str, visit: &Visit) -> Result<GatewayId> {
        let mut given = visit.head.headers.get_all(header::AUTHORIZATION).iter();
        let token = match (given.next().and_then(|value| value.to_str().ok()), given.next()) {
            (Some(value), None) => value.split_once(' '),
            _ => None,
        };
        let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let node = token.and_then(|(_, token)| self.tokens.node(name, token.trim()));
        let Some(node) = node else {
            visit.notes.refused("no token of this node");
            return Err(Error::Unauthorized.into());
        };
        visit.notes.node(node.as_str());
        Ok(node)
    }

    async fn enlist(&self, node: GatewayId, body: &[u8]) -> Result<Reply> {
        let enlist: treaty::Enlist = read(body)?;
        if !is_address(&enlist.address) {
            return Err(Problem::invalid("/address", "the address must be http(s)://host:port"));
        }
        let sane = (1..=MAX_INCARNATION).contains(&enlist.incarnation.len())
            && !enlist.incarnation.chars().any(char::is_control);
        if !sane || i32::try_from(enlist.capacity).is_err() {
            return Err(Problem::invalid("", "an incarnation and a sane capacity are needed"));
        }
        let lease = self.nodes.register(enlist.of(node)).await?;
        Reply::ok(&treaty::Enlisted::from(lease))
    }

    async fn beat(&self, node: &GatewayId, body: &[u8]) -> Result<Reply> {
        let beat: treaty::Beat = read(body)?;
        let held = treaty::convert::held(&beat.held);
        let heard = beat.heard_ago_ms.map(Duration::from_millis);
        match self.nodes.heartbeat(node, &beat.incarnation, &held, heard).await? {
            HeartbeatOutcome::Renewed { length, lost, orphans } => {
                for session in orphans {
                    tracing::warn!(
                        gateway = node.as_str(),
                        session = session.as_str(),
                        "keys of a session that the database does not know are on this node; see \
                         `berth orphan`"
                    );
                }
                Reply::ok(&treaty::Beaten::renewed(length, lost))
            }
            HeartbeatOutcome::NotRegistered => not_enlisted(),
        }
    }

    async fn report(&self, node: &GatewayId, body: &[u8]) -> Result<Reply> {
        let reports: treaty::Reports = read(body)?;
        let mut told = Vec::with_capacity(reports.reports.len());
        for snapshot in reports.reports {
            match snapshot.try_into() {
                Ok(report) => told.push(report),
                // Refusing the batch would hold up every other session's news behind it for ever.
                Err(treaty::convert::Nonsense(what)) => {
                    tracing::warn!(gateway = node.as_str(), what, "a report says nonsense");
                }
            }
        }
        match self.nodes.report(node, &reports.incarnation, told).await? {
            ReportOutcome::Accepted { refused } if refused.is_empty() => Ok(Reply::no_content()),
            ReportOutcome::Accepted { refused } => Reply::ok(&untaken(node, refused)),
            ReportOutcome::NotRegistered => not_enlisted(),
        }
    }
}

/// The answer to reports of which some cannot be stored, which are counted and logged.
fn untaken(node: &GatewayId, refused: Vec<RefusedReport>) -> treaty::Reported {
    let name = node.to_string();
    metrics::counter!("berth_node_reports_refused_total", "gateway" => name)
        .increment(refused.len() as u64);
    for RefusedReport { session, cause } in &refused {
        let error = &**cause as &dyn std::error::Error;
        tracing::error!(gateway = node.as_str(), %session, error, "report not taken; it cannot be stored");
    }
    let refused = refused.into_iter().map(|report| report.session.to_string());
    treaty::Reported { refused: refused.collect() }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::invalid("", &format!("not what this call takes, at line {line} column {column}"))
    })
}

fn not_enlisted() -> Result<Reply> {
    let code = treaty::RefusalCode::NotEnlisted;
    let message = "this incarnation is not known; enlist first".to_owned();
    Reply::json(StatusCode::CONFLICT, &treaty::Refusal { code, message })
}

/// `http://host:port` and nothing more.
fn is_address(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.authority().is_some_and(|a| !a.host().is_empty() && !a.as_str().contains('@'));
    scheme && host && matches!(uri.path(), "" | "/") && uri.query().is_none()
}

/// How the treaty says it. No wildcard: a new variant has to be given its code here.
fn refusal(problem: &Problem) -> (StatusCode, treaty::RefusalCode) {
    use treaty::RefusalCode as Code;
    let status = problem.reply().status;
    let code = match problem {
        Problem::NoRoute | Problem::MethodNotAllowed { .. } => Code::UnknownCall,
        Problem::BodyTooSlow
        | Problem::PayloadTooLarge { .. }
        | Problem::UnsupportedMediaType { .. }
        | Problem::Unreadable { .. } => Code::Malformed,
        // To a node it is the same: it comes again.
        Problem::ShareTaken => return (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
        Problem::DeadlineExceeded | Problem::Overloaded => Code::Unavailable,
        Problem::Panicked(_) => Code::Internal,
        Problem::Domain(error) => match error {
            Error::Validation(_) => Code::Malformed,
            Error::Unauthorized => Code::Unauthorized,
            Error::Unavailable { .. } | Error::RateLimited { .. } => Code::Unavailable,
            // No use case of the nodes' side ends so.
            Error::Forbidden
            | Error::NotFound { .. }
            | Error::NotYet { .. }
            | Error::Conflict { .. }
            | Error::Full(_)
            | Error::PreconditionFailed
            | Error::NotImplemented
            | Error::Internal(_) => return (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
        },
    };
    (status, code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_host_and_no_path() {
        for good in
            ["http://127.0.0.1:8082", "https://gw.example:443", "http://[::1]:9", "http://h/"]
        {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:8082",
            "ftp://h:1",
            "http://",
            "http://h/p",
            "http://u:p@h",
            "http://h?q",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
