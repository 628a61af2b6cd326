//! A stand-in for a node: a client of the router's listener for nodes, without WhatsApp.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    client::{Api, Credential},
    folder::random_hex,
    postgres::Cluster,
    sessions::Owned,
    stack::Stack,
};

use super::SEAL_KEYS;
use crate::{
    Setup,
    connection::{Connection, request_with},
    session_writer::now,
};

/// Name of the node.
const NODE: &str = "gw-1";
/// Interval of heartbeats, far shorter than the lease.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// A router whose only node is the stand-in.
#[derive(Debug)]
pub(super) struct StandIn {
    pub(super) stack: Stack,
    pub(super) owner: Api,
    pub(super) sessions: Vec<String>,
    token: Credential,
    address: SocketAddr,
    incarnation: String,
    /// Dropped after the router.
    pub(super) cluster: Option<Cluster>,
}

/// A connection of the node.
#[derive(Debug)]
pub(super) struct NodeConnection<'a> {
    node: &'a StandIn,
    connection: Connection,
    /// Time of the last heartbeat, on the connection that sends them.
    heartbeat: Option<Instant>,
}

impl StandIn {
    /// Starts a router over a new database, which is of this name on PostgreSQL, and creates
    /// sessions.
    pub(super) fn start(
        setup: &Setup,
        name: &str,
        cluster: Option<Cluster>,
        sessions: usize,
    ) -> Result<Self> {
        let url = cluster.as_ref().map(|cluster| cluster.create_database(name)).transpose()?;
        let token = random_hex(20)?;
        let mut settings = vec![
            ("BERTH_NODE_TOKENS", format!("{NODE}={token}")),
            ("BERTH_LOG", "warn".to_owned()),
            ("BERTH_SESSION_QUOTA", "0".to_owned()),
        ];
        if cluster.is_some() {
            settings.push(("BERTH_SEAL_KEYS", SEAL_KEYS.to_owned()));
        }
        let logs = setup.scratch.path();
        let label = format!("bench-{name}-{}", cluster.is_some());
        let stack = Stack::start(&setup.programs, &label, logs, url, &settings)?;
        let key = stack.key("bench", &["read", "manage"])?;
        let owner = stack.api.with_credential(Some(key));
        let sessions = (0..sessions).map(|_| Ok(Owned::create(&owner, "bench")?.id));
        let sessions = sessions.collect::<Result<_>>()?;
        let address = stack.address("BERTH_NODE_LISTEN")?;
        let (token, incarnation) = (Credential::Token(token), random_hex(8)?);
        Ok(Self { stack, owner, sessions, token, address, incarnation, cluster })
    }

    /// Returns the file of the router's database on SQLite.
    pub(super) fn database_file(&self) -> Result<PathBuf> {
        let folder = self.stack.node_disk();
        Ok(folder.parent().context("no folder")?.join("berth.db"))
    }

    /// Opens a connection. The first one of a node registers and sends heartbeats.
    pub(super) fn connect(&self, first: bool) -> Result<NodeConnection<'_>> {
        let connection = Connection::open(self.address)?;
        let mut opened = NodeConnection { node: self, connection, heartbeat: None };
        if first {
            // Without room for a session, the router does not call the address.
            let node = json!({
                "incarnation": self.incarnation, "address": "http://127.0.0.1:9",
                "version": "bench", "features": ["messages"], "capacity": 0,
            });
            opened.call("enlist", &node.to_string())?;
            opened.heartbeat = Some(Instant::now());
        }
        Ok(opened)
    }

    /// Returns the body of a delivery with the items of these sessions.
    pub(super) fn body(&self, deliveries: &[Value]) -> String {
        json!({ "incarnation": self.incarnation, "journal": "bench", "deliveries": deliveries })
            .to_string()
    }
}

impl NodeConnection<'_> {
    /// Delivers items and returns when the router has stored all items of this number of sessions
    /// up to `through`.
    pub(super) fn deliver(&mut self, body: &str, sessions: usize, through: u64) -> Result<()> {
        self.send_heartbeat()?;
        let delivered = self.call("deliver", body)?;
        let stored = delivered["through"].as_object().context("no acknowledgement")?;
        let all = stored.len() == sessions && stored.values().all(|stored| *stored == through);
        ensure!(all, "items up to {through} of {sessions} sessions are not stored: {delivered}");
        Ok(())
    }

    fn send_heartbeat(&mut self) -> Result<()> {
        if self.heartbeat.is_some_and(|last| last.elapsed() > HEARTBEAT) {
            let heartbeat =
                json!({ "incarnation": self.node.incarnation, "held": [], "heardAgoMs": 0 });
            self.call("beat", &heartbeat.to_string())?;
            self.heartbeat = Some(Instant::now());
        }
        Ok(())
    }

    fn call(&mut self, verb: &str, body: &str) -> Result<Value> {
        let StandIn { address, token, .. } = self.node;
        let path = format!("/node/v1/gateways/{NODE}:{verb}");
        let request = request_with("POST", *address, &path, Some(token), Some(body));
        let reply = self.connection.ask(&request)?;
        let text = String::from_utf8_lossy(reply.body);
        ensure!(reply.status == 200, "{verb}: {}: {text}", reply.status);
        serde_json::from_slice(reply.body).with_context(|| format!("{verb}: {text}"))
    }
}

/// Returns the present time in Unix milliseconds.
pub(super) fn millis() -> u64 {
    now() / 1_000_000
}
