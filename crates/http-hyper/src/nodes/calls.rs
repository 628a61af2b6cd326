//! The calls that a node makes: register, heartbeat, report, deliver.

use std::time::Duration;

use domain::{GatewayId, HeartbeatOutcome, Journals, Nodes, RefusedReport, ReportOutcome};
use gateway_protocol as protocol;
use hyper::{StatusCode, Uri};
use serde::de::DeserializeOwned;

use super::journal::ReadDeliveries;
use crate::response::{
    problem::{Problem, Result},
    reply::Reply,
};

/// Maximum length of an incarnation, in bytes.
const MAX_INCARNATION: usize = 100;

/// Performs the calls of nodes with the use cases of the domain.
pub(super) struct NodeCalls {
    pub(super) nodes: Nodes,
    pub(super) journals: Journals,
}

impl NodeCalls {
    pub(super) async fn register(&self, node: GatewayId, body: &[u8]) -> Result<Reply> {
        let request: protocol::Register = read(body)?;
        if !is_address(&request.address) {
            return Err(Problem::invalid("/address", "the address must be http(s)://host:port"));
        }
        let is_valid = (1..=MAX_INCARNATION).contains(&request.incarnation.len())
            && !request.incarnation.chars().any(char::is_control);
        if !is_valid || i32::try_from(request.capacity).is_err() {
            return Err(Problem::invalid("", "an incarnation and a sane capacity are needed"));
        }
        let lease = self.nodes.register(request.into_registration(node)).await?;
        Reply::ok(&protocol::Registered::from(lease))
    }

    pub(super) async fn heartbeat(&self, node: &GatewayId, body: &[u8]) -> Result<Reply> {
        let heartbeat: protocol::Heartbeat = read(body)?;
        record_journal(node, heartbeat.journal);
        let held = protocol::convert::held_sessions(&heartbeat.held);
        let last_response = heartbeat.answered_ago_ms.map(Duration::from_millis);
        match self.nodes.heartbeat(node, &heartbeat.incarnation, &held, last_response).await? {
            HeartbeatOutcome::Renewed { length, lost, orphans } => {
                for session in orphans {
                    tracing::warn!(
                        gateway = node.as_str(),
                        session = session.as_str(),
                        "keys of a session that the database does not know are on this node; see \
                         `berth orphan`"
                    );
                }
                Reply::ok(&protocol::HeartbeatAnswer::renewed(length, lost))
            }
            HeartbeatOutcome::NotRegistered => not_registered(),
        }
    }

    pub(super) async fn report(&self, node: &GatewayId, body: &[u8]) -> Result<Reply> {
        let batch: protocol::Reports = read(body)?;
        let mut reports = Vec::with_capacity(batch.reports.len());
        for snapshot in batch.reports {
            match snapshot.try_into() {
                Ok(report) => reports.push(report),
                // Rejecting the batch would block the later reports of all other sessions.
                Err(protocol::convert::InvalidMessage(what)) => {
                    tracing::warn!(
                        gateway = node.as_str(),
                        what,
                        "a report is invalid and is ignored"
                    );
                }
            }
        }
        match self.nodes.report(node, &batch.incarnation, reports).await? {
            ReportOutcome::Accepted { refused } if refused.is_empty() => Ok(Reply::no_content()),
            ReportOutcome::Accepted { refused } => Reply::ok(&report_refusals(node, refused)),
            ReportOutcome::NotRegistered => not_registered(),
        }
    }

    pub(super) async fn deliver(&self, node: &GatewayId, body: &[u8]) -> Result<Reply> {
        let request: protocol::Deliveries = read(body)?;
        if !self.nodes.is_current(node, &request.incarnation).await? {
            return not_registered();
        }
        let ReadDeliveries { deliveries, invalid } = ReadDeliveries::read(request.deliveries);
        let taken = self.journals.take(node, &request.journal, deliveries).await?;
        Reply::ok(&ReadDeliveries::answer(invalid, taken))
    }
}

/// Sets the gauges of a node's journal.
fn record_journal(node: &GatewayId, journal: Option<protocol::JournalStats>) {
    let Some(journal) = journal else { return };
    let name = node.to_string();
    let items = u32::try_from(journal.items).unwrap_or(u32::MAX);
    metrics::gauge!("berth_gateway_journal_items", "gateway" => name.clone()).set(items);
    let oldest = Duration::from_millis(journal.oldest_ms.unwrap_or_default());
    metrics::gauge!("berth_gateway_journal_oldest_seconds", "gateway" => name).set(oldest);
}

/// Counts and logs the reports that cannot be stored, and returns the response that names them.
fn report_refusals(node: &GatewayId, refused: Vec<RefusedReport>) -> protocol::Reported {
    let name = node.to_string();
    metrics::counter!("berth_node_reports_refused_total", "gateway" => name)
        .increment(refused.len() as u64);
    for RefusedReport { session, cause } in &refused {
        let error = &**cause as &dyn std::error::Error;
        tracing::error!(gateway = node.as_str(), %session, error, "report not taken; it cannot be stored");
    }
    let refused = refused.into_iter().map(|report| report.session.to_string());
    protocol::Reported { refused: refused.collect() }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::invalid("", &format!("not what this call takes, at line {line} column {column}"))
    })
}

fn not_registered() -> Result<Reply> {
    let code = protocol::RefusalCode::NotRegistered;
    let message = "this incarnation is not known; enlist first".to_owned();
    Reply::json(StatusCode::CONFLICT, &protocol::Refusal { code, message })
}

/// Returns whether the text is a URL of scheme and host, without user, path and query.
fn is_address(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.authority().is_some_and(|a| !a.host().is_empty() && !a.as_str().contains('@'));
    scheme && host && matches!(uri.path(), "" | "/") && uri.query().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_a_scheme_and_a_host_without_path() {
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
