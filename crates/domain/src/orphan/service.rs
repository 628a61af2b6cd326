//! Use cases of orphans: list, adopt, unlink.
//!
//! Decision: ADR 0035.

use std::sync::Arc;

use crate::{
    access::{Scope, or_not_found},
    caller::{Caller, Capability},
    commit::{Decision, execute},
    deadlines::Deadlines,
    error::{Error, Result},
    id::SessionId,
    orphan::model::Orphan,
    ports::{
        environment::Environment,
        store::{nodes::NodeStore, sessions::SessionStore, worker::WorkerStore},
    },
    session::{
        model::Session, owned_sessions::OwnedSessions, partial_session::PartialSession,
        settings::Settings,
    },
};

/// Use cases of orphans, for operators only.
#[derive(Clone)]
pub struct Orphans {
    nodes: Arc<dyn NodeStore>,
    sessions: Arc<dyn SessionStore>,
    worker_store: Arc<dyn WorkerStore>,
    environment: Arc<dyn Environment>,
    deadlines: Deadlines,
}

impl Orphans {
    /// Creates the use cases over these ports.
    pub fn new(
        nodes: Arc<dyn NodeStore>,
        sessions: Arc<dyn SessionStore>,
        worker_store: Arc<dyn WorkerStore>,
        environment: Arc<dyn Environment>,
        deadlines: Deadlines,
    ) -> Self {
        Self { nodes, sessions, worker_store, environment, deadlines }
    }

    /// Returns all orphans, by node and session.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn list(&self) -> Result<Vec<Orphan>> {
        Ok(self.nodes.orphans().await?)
    }

    /// Assigns an orphan to the caller's organization: creates a stopped session with the same id
    /// on the same node. The node gets a declaration at once and reports the linked device. The
    /// owner can start, log out or delete the session.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such an orphan; a conflict if the database has the session
    /// or its cleanup by now, or several nodes hold keys of it; [`Error::Full`], and errors of the stores.
    pub async fn adopt(&self, caller: &Caller, id: &str) -> Result<Session> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let environment = &*self.environment;
        let decide = |(orphan, last_event): (Orphan, u64)| {
            let organization = scope.organization().clone();
            let fresh = Session::new(organization, None, Settings::default(), environment);
            let mut session =
                Session { id: orphan.session, gateway: Some(orphan.gateway), ..fresh };
            // Higher than the epoch that the node knows, so that the node accepts the declaration.
            session.spec.epoch = orphan.epoch + 1;
            session.due = Some(environment.now());
            // Events of a deleted session with this id may still be stored.
            session.sequence = last_event;
            session.created().into_insert(scope.actor(), environment, None)
        };
        execute(&self.owned_sessions(&scope), || self.find_to_adopt(id), decide).await
    }

    /// Unlinks the device of an orphan and wipes the keys, as if the session belonged to the
    /// caller's organization and were deleted. The events of that organization report the outcome.
    ///
    /// # Errors
    /// As [`adopt`](Self::adopt), and [`Error::NotFound`] if another request deletes the adopted
    /// session first.
    pub async fn unlink(&self, caller: &Caller, id: &str) -> Result<()> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let session = self.adopt(caller, id).await?;
        let decide = |found: Session| {
            let found = PartialSession::from(&found);
            let commit = found.deletion(&scope, &self.deadlines, &*self.environment);
            Ok(Decision::Write(commit, ()))
        };
        let find = || self.find_adopted(&scope, &session.id);
        execute(&self.owned_sessions(&scope), find, decide).await
    }

    /// The routers find due rows by themselves, so no waiter is notified.
    fn owned_sessions<'a>(&'a self, scope: &'a Scope) -> OwnedSessions<'a> {
        OwnedSessions { store: &*self.sessions, scope, notifier: None, recorder: None }
    }

    /// Returns the orphan and the last sequence number of the events of its id.
    async fn find_to_adopt(&self, id: &str) -> Result<(Orphan, u64)> {
        let orphan = self.find(id).await?;
        if self.worker_store.find(&orphan.session).await?.is_some() {
            return Err(Error::conflict("a session with this id exists already"));
        }
        // The list is as old as the last heartbeat of the node.
        let pending = self.worker_store.pending_cleanups(&orphan.gateway).await?;
        if pending.contains(&orphan.session) {
            return Err(Error::conflict("a session with this id is being unlinked"));
        }
        let last_event = self.nodes.last_event_sequence(&orphan.session).await?;
        Ok((orphan, last_event))
    }

    async fn find_adopted(&self, scope: &Scope, id: &SessionId) -> Result<Session> {
        or_not_found("session", self.sessions.find(scope, id).await?)
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
