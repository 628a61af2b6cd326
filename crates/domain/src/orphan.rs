//! Keys on nodes whose sessions the database does not know: after an old copy of the database, or of a
//! node's folder, was restored. A linked device must not be lost silently, so the keys stay until an
//! operator says whose they are.
//!
//! Decision: ADR 0035.

use std::sync::Arc;

use crate::{
    Caller, Capability, Deadlines, Error, GatewayId, Result, Session, SessionId, Settings,
    Timestamp, or_not_found,
    ports::{Environment, NodeStore, SessionStore, WorkerStore, Written},
};

/// A session that a node holds keys of and that the database does not account for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The session's name on the node.
    pub session: SessionId,
    /// The node.
    pub gateway: GatewayId,
    /// The newest epoch that the node had been told by then.
    pub epoch: u64,
    /// When the node first named the session without being told to keep it.
    pub since: Timestamp,
}

/// The use cases of orphans, for operators alone.
#[derive(Clone)]
pub struct Orphans {
    nodes: Arc<dyn NodeStore>,
    sessions: Arc<dyn SessionStore>,
    worker_store: Arc<dyn WorkerStore>,
    environment: Arc<dyn Environment>,
    deadlines: Deadlines,
}

impl Orphans {
    /// The use cases over these ports.
    pub fn new(
        nodes: Arc<dyn NodeStore>,
        sessions: Arc<dyn SessionStore>,
        worker_store: Arc<dyn WorkerStore>,
        environment: Arc<dyn Environment>,
        deadlines: Deadlines,
    ) -> Self {
        Self { nodes, sessions, worker_store, environment, deadlines }
    }

    /// All orphans, by node and session.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn list(&self) -> Result<Vec<Orphan>> {
        Ok(self.nodes.orphans().await?)
    }

    /// Gives the orphan to the caller's organization: a session of the same name on the same node, stopped.
    /// The node is told so at once and reports who is linked; the owner starts, logs out or deletes it.
    ///
    /// # Errors
    /// *Not found* when there is no such orphan, *conflict* when the database knows the session by now, or
    /// keys of it are on several nodes.
    pub async fn adopt(&self, caller: &Caller, id: &str) -> Result<Session> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let orphan = self.find(id).await?;
        if self.worker_store.find(&orphan.session).await?.is_some() {
            return Err(Error::conflict("a session of this name is there already"));
        }
        let environment = &*self.environment;
        let fresh =
            Session::new(scope.organization().clone(), None, Settings::default(), environment);
        let mut session = Session { id: orphan.session, gateway: Some(orphan.gateway), ..fresh };
        // Newer than anything the node was told, so that it obeys.
        session.spec.epoch = orphan.epoch + 1;
        session.due = Some(environment.now());
        let (session, _, events) = session.created().into_commit(scope.actor(), environment);
        match self.sessions.insert(&scope, &session, &events, None).await? {
            Written::Done => Ok(session),
            Written::Refused(refusal) => Err(refusal.into()),
            Written::Raced | Written::Repeated => {
                Err(Error::conflict("somebody else was faster; look again"))
            }
        }
    }

    /// Has the orphan's device unlinked and its keys wiped, as if its session were the caller's
    /// organization's and deleted: what becomes of it is told in that organization's events.
    ///
    /// # Errors
    /// As [`adopt`](Self::adopt).
    pub async fn unlink(&self, caller: &Caller, id: &str) -> Result<()> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let session = self.adopt(caller, id).await?;
        let (now, version) = (self.environment.now(), session.version);
        let (change, cleanup) = session.delete(scope.actor(), now, &self.deadlines);
        let (_, _, events) = change.into_commit(scope.actor(), &*self.environment);
        match self.sessions.delete(&scope, version, &cleanup, &events).await? {
            Written::Done => Ok(()),
            Written::Raced | Written::Repeated | Written::Refused(_) => Err(Error::conflict(
                "the session was adopted, and changed before it could be deleted; delete it",
            )),
        }
    }

    async fn find(&self, id: &str) -> Result<Orphan> {
        let mut of_this_name = self.list().await?;
        of_this_name.retain(|orphan| orphan.session.as_str() == id);
        if of_this_name.len() > 1 {
            return Err(Error::conflict("keys of this session are on several nodes"));
        }
        or_not_found("orphan", of_this_name.pop())
    }
}
