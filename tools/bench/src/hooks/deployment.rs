//! berth with webhooks, and the counters of berth and its database.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::{
    client::{Api, Credential},
    folder::random_hex,
    http,
    parallel::run_on_threads,
    postgres::Cluster,
    stack::Stack,
    webhook::Webhook,
};

use super::recorder::Recorder;
use crate::{Setup, session_writer::SessionWriter};

/// Name of the database on PostgreSQL.
const DATABASE: &str = "hooks";
/// Number of requests at the same time that pause or resume webhooks.
const OWNERS: usize = 8;
/// Connections of the writer; enough that a request does not wait for an earlier answer.
const WRITERS: usize = 16;

/// A router with its database.
#[derive(Debug)]
pub(super) struct HookDeployment {
    pub(super) stack: Stack,
    /// `None` on SQLite. Dropped after the router.
    cluster: Option<Cluster>,
}

/// The name of a database with its server; `None` means SQLite.
pub(super) fn databases() -> Result<[(&'static str, Option<Cluster>); 2]> {
    Ok([("SQLite", None), ("PostgreSQL", Some(Cluster::start_durable()?))])
}

impl HookDeployment {
    /// Starts a router over a new database.
    pub(super) fn start(setup: &Setup, name: &str, cluster: Option<Cluster>) -> Result<Self> {
        let url = cluster.as_ref().map(|cluster| cluster.create_database(DATABASE)).transpose()?;
        Self::start_over(setup, name, url, cluster)
    }

    /// Starts a router over this database, which may have rows.
    pub(super) fn start_over(
        setup: &Setup,
        name: &str,
        url: Option<String>,
        cluster: Option<Cluster>,
    ) -> Result<Self> {
        let name =
            format!("bench-{name}-{}", if cluster.is_some() { "postgres" } else { "sqlite" });
        let settings = [
            // Without nodes nothing works beside the deliveries.
            ("BERTH_NODE_TOKENS", format!("gw-1={}", random_hex(20)?)),
            ("BERTH_LOG", "warn".to_owned()),
            ("BERTH_WEBHOOK_ALLOW", "127.0.0.0/8".to_owned()),
            ("BERTH_WEBHOOK_QUOTA", "0".to_owned()),
            ("BERTH_SESSION_QUOTA", "0".to_owned()),
            // Seeded events are old.
            ("BERTH_FEED_RETENTION", "36500d".to_owned()),
        ];
        let stack = Stack::start(&setup.programs, &name, setup.scratch.path(), url, &settings)?;
        Ok(Self { stack, cluster })
    }

    /// Returns the process id of the router.
    pub(super) fn process(&self) -> Result<u32> {
        self.stack.berth_id().context("berth does not run")
    }

    /// Returns a client of the owner of an organization.
    pub(super) fn owner(&self, organization: &str) -> Result<Api> {
        let key = self.stack.key(organization, &["manage"])?;
        Ok(self.stack.api.with_credential(Some(key)))
    }

    /// Returns a writer of sessions at this router.
    pub(super) fn writer(&self, owners: &[Api], padding: usize) -> Result<SessionWriter> {
        let keys = owners.iter().map(|owner| owner.credential().cloned().context("no key"));
        let credentials: Vec<Credential> = keys.collect::<Result<_>>()?;
        let address = http::address(self.stack.api.base())?;
        Ok(SessionWriter { address, credentials, connections: WRITERS, padding })
    }

    /// Executes SQL on PostgreSQL and returns the result; `None` on SQLite.
    pub(super) fn value(&self, sql: &str) -> Result<Option<String>> {
        self.cluster.as_ref().map(|cluster| cluster.value(DATABASE, sql)).transpose()
    }

    /// Returns the number of commits so far: on PostgreSQL, of the transactions that wrote, since
    /// only these have an id; on SQLite, of the writes of progress.
    pub(super) fn commits(&self) -> Result<f64> {
        match self.value("SELECT pg_snapshot_xmax(pg_current_snapshot())")? {
            Some(id) => id.parse().with_context(|| format!("the transaction id is {id:?}")),
            None => sum_of(&self.metrics()?, "berth_webhook_flush_seconds_count"),
        }
    }

    fn metrics(&self) -> Result<String> {
        let reply = self.stack.operator.get("/metrics")?.expect(200)?;
        Ok(String::from_utf8(reply.body)?)
    }
}

/// Creates webhooks of an organization for the sessions that it creates.
pub(super) fn for_sessions(owner: &Api, recorder: &Recorder, count: usize) -> Result<Vec<Webhook>> {
    create(owner, recorder, count, &json!({ "events": ["session.created"] }))
}

/// Creates webhooks of an organization with these fields.
pub(super) fn create(
    owner: &Api,
    recorder: &Recorder,
    count: usize,
    fields: &Value,
) -> Result<Vec<Webhook>> {
    (0..count).map(|_| Webhook::create(owner, &recorder.url(), fields.clone())).collect()
}

/// Sends an action, such as `:pause`, for all webhooks.
pub(super) fn act_on(webhooks: &[Webhook], action: &str) -> Result<()> {
    let acted = run_on_threads(OWNERS, |which| {
        let own = webhooks.iter().skip(which).step_by(OWNERS);
        own.map(|webhook| webhook.act(action).map(drop)).collect()
    });
    acted.map(drop)
}

/// Returns the sum of a metric over all labels; an error without such a metric.
pub(super) fn sum_of(metrics: &str, name: &str) -> Result<f64> {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) {
            return None;
        }
        rest.rsplit(' ').next()?.parse::<f64>().ok()
    });
    let values: Vec<_> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum()).with_context(|| format!("no metric {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_is_added_over_its_labels() {
        let text = "# HELP a_total a\na_total{outcome=\"2xx\"} 5\na_total{outcome=\"no x\"} 2\n\
                    a_total_more 9\nb 1.5\n";
        assert_eq!(sum_of(text, "a_total").unwrap().to_bits(), 7.0_f64.to_bits());
        assert_eq!(sum_of(text, "b").unwrap().to_bits(), 1.5_f64.to_bits());
        assert!(sum_of(text, "a").is_err());
    }
}
