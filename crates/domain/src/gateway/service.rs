//! Use cases of nodes: registration, heartbeats and reports.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    commit::{CommitTarget, Decision, SystemCommit, execute},
    deadlines::Deadlines,
    error::{Error, Result},
    gateway::node::{HeldSession, Node},
    id::{GatewayId, SessionId},
    ports::{
        environment::Environment,
        error::BoxError,
        notify::{Notification, Notifier},
        store::{
            nodes::NodeStore,
            worker::{SystemWrite, WorkerStore},
            written::Written,
        },
    },
    session::{model::Session, observed::Snapshot},
    share_link::{
        model::ShareLink,
        pairing_end::{commit_with_links, links_to_end},
    },
    time::Timestamp,
};

/// The first message of a node's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Id of the node. The node token confirms it.
    pub id: GatewayId,
    /// Address of the node: `http://host:port`.
    pub address: String,
    /// Random text that identifies the process.
    pub incarnation: String,
    /// Program and version.
    pub version: String,
    /// Optional features that the node supports.
    pub features: Vec<String>,
    /// Maximum number of sessions.
    pub capacity: u32,
}

/// The lease of a registered node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Generation that the node puts in its reports.
    pub generation: u64,
    /// Time without an answered heartbeat after which the node closes its connections.
    pub length: Duration,
    /// Interval between two heartbeats.
    pub heartbeat_interval: Duration,
}

/// Answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeartbeatOutcome {
    /// The lease is renewed.
    Renewed {
        /// Length of the lease from now.
        length: Duration,
        /// Sessions that no longer belong to the node. The node closes them at once.
        lost: Vec<SessionId>,
        /// Sessions among `lost` that are orphans and are reported for the first time.
        orphans: Vec<SessionId>,
    },
    /// The incarnation is unknown or lost. The node must register.
    NotRegistered,
}

/// Answer to reports.
#[derive(Debug)]
pub enum ReportOutcome {
    /// All reports are durable or obsolete, except the refused ones.
    Accepted {
        /// Reports that cannot be stored.
        refused: Vec<RefusedReport>,
    },
    /// The incarnation is unknown or lost. The node must register.
    NotRegistered,
}

/// A report that cannot be stored: the row of the session is unreadable, or the store rejects a
/// value.
#[derive(Debug)]
pub struct RefusedReport {
    /// The session of the report.
    pub session: SessionId,
    /// Cause, for the log.
    pub cause: BoxError,
}

/// Use cases of nodes.
#[derive(Clone)]
pub struct Nodes {
    store: Arc<dyn NodeStore>,
    worker_store: Arc<dyn WorkerStore>,
    environment: Arc<dyn Environment>,
    notifier: Arc<dyn Notifier>,
    deadlines: Deadlines,
}

/// Maximum number of orphans recorded per heartbeat of a node.
const MAX_ORPHANS_PER_HEARTBEAT: usize = 1_000;

impl Nodes {
    /// Creates the use cases over these ports.
    pub fn new(
        store: Arc<dyn NodeStore>,
        worker_store: Arc<dyn WorkerStore>,
        environment: Arc<dyn Environment>,
        notifier: Arc<dyn Notifier>,
        deadlines: Deadlines,
    ) -> Self {
        Self { store, worker_store, environment, notifier, deadlines }
    }

    /// Registers a node and wakes every session and cleanup of the node.
    ///
    /// # Errors
    /// Errors of the stores.
    pub async fn register(&self, registration: Registration) -> Result<Lease> {
        let now = self.environment.now();
        let node = Node {
            id: registration.id,
            address: registration.address,
            incarnation: registration.incarnation,
            generation: 0,
            version: registration.version,
            features: registration.features,
            capacity: registration.capacity,
            held: 0,
            heartbeat_at: now,
            lost_at: None,
        };
        let generation = self.store.register(&node).await?;
        self.worker_store.wake_node(&node.id, now).await?;
        self.notifier.notify(Notification::WorkDue);
        Ok(Lease {
            generation,
            length: self.deadlines.lease,
            heartbeat_interval: self.deadlines.heartbeat_interval,
        })
    }

    /// Returns whether the node is registered and this process of it is the newest one.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn is_current(&self, id: &GatewayId, incarnation: &str) -> Result<bool> {
        let node = self.store.find(id).await?;
        Ok(node.is_some_and(|node| is_current(&node, incarnation)))
    }

    /// Renews the lease of a node that holds the sessions `held`. Sessions that the node should
    /// hold and does not are woken.
    ///
    /// `last_answered` is the age of the newest request of the node whose answer reached the node.
    /// Router and node count the lease from that request: a node that gets no answers closes its
    /// connections, and its heartbeats, which still arrive, must not keep its sessions shown as
    /// connected. A node of an older version does not send the age; its lease counts from now.
    ///
    /// The renewal is the last step, so that a failed heartbeat renews no lease.
    ///
    /// # Errors
    /// Errors of the stores.
    pub async fn heartbeat(
        &self,
        id: &GatewayId,
        incarnation: &str,
        held: &[HeldSession],
        last_answered: Option<Duration>,
    ) -> Result<HeartbeatOutcome> {
        let now = self.environment.now();
        let node = self.store.find(id).await?;
        let Some(node) = node.filter(|node| is_current(node, incarnation)) else {
            return Ok(HeartbeatOutcome::NotRegistered);
        };
        let lost = self.reconcile_held_sessions(id, held, now).await?;
        let since = last_answered.map_or(now, |last_answered| now.minus(last_answered));
        let count = u32::try_from(held.len()).unwrap_or(u32::MAX);
        if !self.store.heartbeat(id, incarnation, count, since).await? {
            return Ok(HeartbeatOutcome::NotRegistered);
        }
        if !node.is_live(now, self.deadlines.lease) {
            // The node had closed its connections, and may have registered before its lease was
            // valid.
            self.worker_store.wake_node(id, now).await?;
            self.notifier.notify(Notification::WorkDue);
        }
        // A failure to record orphans must not end the lease. A later heartbeat records them.
        let noted = &lost[..lost.len().min(MAX_ORPHANS_PER_HEARTBEAT)];
        let orphans = self.store.note_orphans(id, noted, now).await.unwrap_or_default();
        let lost = lost.into_iter().map(|held| held.session).collect();
        Ok(HeartbeatOutcome::Renewed { length: self.deadlines.lease, lost, orphans })
    }

    /// Returns the held sessions that no longer belong to the node, and wakes the sessions that the
    /// node should hold and does not.
    async fn reconcile_held_sessions(
        &self,
        id: &GatewayId,
        held: &[HeldSession],
        now: Timestamp,
    ) -> Result<Vec<HeldSession>> {
        let placed: HashMap<_, _> = self
            .worker_store
            .assigned_sessions(id)
            .await?
            .into_iter()
            .map(|(placed, spec)| (placed.session, (placed.epoch, spec)))
            .collect();
        let cleaning_up: HashSet<_> =
            self.worker_store.pending_cleanups(id).await?.into_iter().collect();
        let holds: HashSet<_> = held.iter().map(|held| &held.session).collect();
        let is_ours = |id: &SessionId| placed.contains_key(id) || cleaning_up.contains(id);
        let lost: Vec<_> = held.iter().filter(|held| !is_ours(&held.session)).cloned().collect();
        let missing: Vec<_> = placed
            .into_iter()
            .filter(|(session, (_, spec))| *spec && !holds.contains(session))
            .map(|(session, _)| session)
            .collect();
        if !missing.is_empty() {
            self.worker_store.wake_sessions(&missing, now).await?;
            self.notifier.notify(Notification::WorkDue);
        }
        Ok(lost)
    }

    /// Applies the reports of a node, oldest first. On return, all reports are durable or obsolete,
    /// except the refused ones: a report that cannot be stored does not block the others. A lost node
    /// has closed its connections, so its delayed reports are outdated.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store is not reachable or a write races without end. The node
    /// sends the reports again.
    pub async fn report(
        &self,
        id: &GatewayId,
        incarnation: &str,
        reports: Vec<(SessionId, Snapshot)>,
    ) -> Result<ReportOutcome> {
        let node = self.store.find(id).await?;
        if !node.is_some_and(|node| is_current(&node, incarnation)) {
            return Ok(ReportOutcome::NotRegistered);
        }
        let mut refused = Vec::new();
        for (session, snapshot) in reports {
            match self.apply_report(id, &session, &snapshot).await {
                Ok(()) => {}
                // A retry would fail in the same way.
                Err(Error::Internal(cause)) => refused.push(RefusedReport { session, cause }),
                Err(error) => return Err(error),
            }
        }
        Ok(ReportOutcome::Accepted { refused })
    }

    async fn apply_report(
        &self,
        node: &GatewayId,
        id: &SessionId,
        snapshot: &Snapshot,
    ) -> Result<()> {
        let find = || async {
            let Some(session) = self.find_on_node(id, node).await? else { return Ok(None) };
            let is_linked = snapshot.identity.is_some();
            let links = links_to_end(&*self.worker_store, &session, is_linked).await?;
            Ok(Some((session, links)))
        };
        let decide = |found: Option<(Session, Vec<ShareLink>)>| {
            let now = self.environment.now();
            let Some((own, links)) = found else { return Ok(Decision::Keep(())) };
            let observed = own.observe(snapshot.clone(), now, &self.deadlines);
            let Some(change) = observed else { return Ok(Decision::Keep(())) };
            Ok(Decision::Write(commit_with_links(change, links, &*self.environment), ()))
        };
        execute(self, find, decide).await
    }

    async fn find_on_node(&self, id: &SessionId, node: &GatewayId) -> Result<Option<Session>> {
        let session = self.worker_store.find(id).await?;
        Ok(session.filter(|session| session.gateway.as_ref() == Some(node)))
    }
}

/// Returns true if the node is registered with this incarnation and not lost.
fn is_current(node: &Node, incarnation: &str) -> bool {
    node.incarnation == incarnation && node.lost_at.is_none()
}

/// Reports of nodes. A session that is due wakes the worker too.
impl CommitTarget for Nodes {
    type Commit = SystemCommit<SystemWrite>;

    async fn write(&self, commit: &SystemCommit<SystemWrite>) -> Result<Written> {
        Ok(self.worker_store.commit(commit).await?)
    }

    fn notify(&self, commit: &SystemCommit<SystemWrite>) {
        let Some(next) = commit.change.updated() else { return };
        let (session, version) = (&next.id, Some(next.version));
        self.notifier.notify(Notification::SessionChanged { session, version });
        if next.due.is_some() {
            self.notifier.notify(Notification::WorkDue);
        }
    }
}
