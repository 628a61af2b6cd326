//! What nodes tell the router: that they are here, that they live, and what they see.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{HeldSession, Node, Snapshot};
use crate::{
    Actor, Deadlines, Error, GatewayId, Result, SessionId, Timestamp,
    ports::{BoxError, ChangeNotifier, Environment, NodeStore, Notifier, WorkerStore, Written},
};

/// A node's first word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its name, as its token vouches for.
    pub id: GatewayId,
    /// Where it is reached.
    pub address: String,
    /// Made anew at every start of its process.
    pub incarnation: String,
    /// The program and its version.
    pub version: String,
    /// What it can do.
    pub features: Vec<String>,
    /// How many sessions it takes.
    pub capacity: u32,
}

/// For how long a node is trusted, and what its reports are to be numbered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Counts the node's incarnations.
    pub generation: u64,
    /// Silent for longer, it must close its connections.
    pub length: Duration,
    /// How often to beat.
    pub heartbeat_interval: Duration,
}

/// The answer to a beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeartbeatOutcome {
    /// The lease is renewed; these sessions are no longer the node's.
    Renewed {
        /// From now.
        length: Duration,
        /// To close at once.
        lost: Vec<SessionId>,
        /// Those of them that are orphans and were not told of before.
        orphans: Vec<SessionId>,
    },
    /// The router does not know this incarnation: enlist first.
    NotRegistered,
}

/// The answer to reports.
#[derive(Debug)]
pub enum ReportOutcome {
    /// All of it is durable or was old news, but for these.
    Accepted {
        /// Reports that cannot be stored.
        refused: Vec<RefusedReport>,
    },
    /// The router does not know this incarnation: enlist first.
    NotRegistered,
}

/// A report that cannot be stored: its session's row cannot be read, or the store refuses a value.
#[derive(Debug)]
pub struct RefusedReport {
    /// The session it is about.
    pub session: SessionId,
    /// Why, for the log.
    pub cause: BoxError,
}

/// The nodes' side of the router.
#[derive(Clone)]
pub struct Nodes {
    store: Arc<dyn NodeStore>,
    worker_store: Arc<dyn WorkerStore>,
    environment: Arc<dyn Environment>,
    worker_notifier: Arc<dyn Notifier>,
    change_notifier: Arc<dyn ChangeNotifier>,
    deadlines: Deadlines,
}

/// So many orphans of a node are noted, whatever it says that it holds.
const MAX_ORPHANS_PER_HEARTBEAT: usize = 1_000;
/// How often a report is applied again when somebody else wrote in between.
const MAX_WRITE_ATTEMPTS: u32 = 16;

impl Nodes {
    /// The nodes' side over these ports.
    pub fn new(
        store: Arc<dyn NodeStore>,
        worker_store: Arc<dyn WorkerStore>,
        environment: Arc<dyn Environment>,
        worker_notifier: Arc<dyn Notifier>,
        change_notifier: Arc<dyn ChangeNotifier>,
        deadlines: Deadlines,
    ) -> Self {
        Self { store, worker_store, environment, worker_notifier, change_notifier, deadlines }
    }

    /// A node is here. Everything that is placed on it is looked at again.
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
        self.worker_notifier.notify();
        Ok(Lease {
            generation,
            length: self.deadlines.lease,
            heartbeat_interval: self.deadlines.heartbeat_interval,
        })
    }

    /// A node lives, and holds these. What it should hold and does not is looked at again.
    ///
    /// `last_answered` is how long ago the node sent the newest request whose answer reached it. The lease is
    /// counted from then, by both sides: a node that nobody's answers reach closes its connections, and
    /// its heartbeats, which still arrive here, must not keep its sessions shown as connected. A node
    /// of an older version does not say; its lease counts from now.
    ///
    /// The lease is renewed last: a heartbeat that cannot be worked on renews nothing.
    pub async fn heartbeat(
        &self,
        id: &GatewayId,
        incarnation: &str,
        held: &[HeldSession],
        last_answered: Option<Duration>,
    ) -> Result<HeartbeatOutcome> {
        let now = self.environment.now();
        let node = self.store.find(id).await?;
        let is_current = |node: &Node| node.incarnation == incarnation && node.lost_at.is_none();
        let Some(node) = node.filter(is_current) else {
            return Ok(HeartbeatOutcome::NotRegistered);
        };
        let lost = self.reconcile_held_sessions(id, held, now).await?;
        let since = last_answered.map_or(now, |last_answered| now.minus(last_answered));
        let count = u32::try_from(held.len()).unwrap_or(u32::MAX);
        if !self.store.heartbeat(id, incarnation, count, since).await? {
            return Ok(HeartbeatOutcome::NotRegistered);
        }
        if !node.is_live(now, self.deadlines.lease) {
            // It had closed everything, and may have said hello before its lease was proven.
            self.worker_store.wake_node(id, now).await?;
            self.worker_notifier.notify();
        }
        // What cannot be noted must not cost the node its lease: it is noted at a later heartbeat.
        let noted = &lost[..lost.len().min(MAX_ORPHANS_PER_HEARTBEAT)];
        let orphans = self.store.note_orphans(id, noted, now).await.unwrap_or_default();
        let lost = lost.into_iter().map(|held| held.session).collect();
        Ok(HeartbeatOutcome::Renewed { length: self.deadlines.lease, lost, orphans })
    }

    /// Which of the sessions that a node holds are no longer its own. Those that it should hold and
    /// does not are woken.
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
            self.worker_notifier.notify();
        }
        Ok(lost)
    }

    /// What a node sees, oldest first. When this returns, all of it is durable or was old news, but for
    /// what is refused: a report that cannot be stored holds up no other.
    pub async fn report(
        &self,
        id: &GatewayId,
        incarnation: &str,
        reports: Vec<(SessionId, Snapshot)>,
    ) -> Result<ReportOutcome> {
        let node = self.store.find(id).await?;
        if node.is_none_or(|node| node.incarnation != incarnation) {
            return Ok(ReportOutcome::NotRegistered);
        }
        let mut refused = Vec::new();
        for (session, snapshot) in reports {
            match self.apply_report(id, &session, &snapshot).await {
                Ok(()) => {}
                // It is the same whenever it is tried again.
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
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let Some(session) = self.worker_store.find(id).await? else { return Ok(()) };
            if session.gateway.as_ref() != Some(node) {
                return Ok(());
            }
            let now = self.environment.now();
            let Some(change) = session.observe(snapshot.clone(), now, &self.deadlines) else {
                return Ok(());
            };
            let (next, expected, events) = change.into_commit(&Actor::System, &*self.environment);
            match self.worker_store.update(&next, expected, &events).await? {
                Written::Done => {
                    self.change_notifier.publish(&next.id, Some(next.version));
                    if next.due.is_some() {
                        self.worker_notifier.notify();
                    }
                    return Ok(());
                }
                Written::Raced | Written::Repeated | Written::Refused(_) => {}
            }
        }
        Err(Error::unavailable("the session was changed by others again and again"))
    }
}
