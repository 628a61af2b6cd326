//! Use cases of sessions. Each use case gets a scope, finds the session, decides, writes once and
//! notifies.

use std::{future::ready, sync::Arc};

use crate::{
    access::{Scope, or_not_found},
    caller::{Caller, Capability},
    commit::{Decision, execute},
    deadlines::Deadlines,
    error::{Error, Result},
    gateway::leases::Leases,
    id::SessionId,
    idempotency::Recorder,
    ports::{
        environment::Environment,
        notify::{Notifier, Topic},
        session_control::SessionControl,
        store::{
            nodes::NodeStore,
            sessions::{SessionPage, SessionStore},
        },
    },
    session::{
        change::Change,
        model::Session,
        observed::LiveIdentity,
        owned_sessions::OwnedSessions,
        pairing::Identity,
        settings::{Settings, SettingsPatch},
        status::Status,
        version::Version,
    },
    time::Timestamp,
};

/// Ports of [`Sessions`].
#[derive(Clone)]
pub struct SessionPorts {
    /// Store of sessions.
    pub store: Arc<dyn SessionStore>,
    /// Store of nodes.
    pub nodes: Arc<dyn NodeStore>,
    /// Commands to nodes.
    pub session_control: Arc<dyn SessionControl>,
    /// Clock and id generator.
    pub environment: Arc<dyn Environment>,
    /// Wakes the worker and the requests that wait for a session.
    pub notifier: Arc<dyn Notifier>,
    /// Leases of the nodes, as the worker last read them.
    pub leases: Arc<Leases>,
}

/// Use cases of sessions.
///
/// A use case with a recorder writes its change together with the idempotency record of the request.
/// A request that changes nothing writes no record. Requests for a code have no recorder: the code
/// does not exist at the time of the write, and a repeated request joins the same attempt.
#[derive(Clone)]
pub struct Sessions {
    pub(super) ports: SessionPorts,
    pub(super) deadlines: Deadlines,
}

/// The device that is linked to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionIdentity {
    /// The session.
    pub session: Session,
    /// The linked device.
    pub identity: Identity,
    /// Whether the node reports a connection that is logged in now.
    pub connected: bool,
}

impl Sessions {
    /// Creates the use cases over these ports.
    pub fn new(ports: SessionPorts, deadlines: Deadlines) -> Self {
        Self { ports, deadlines }
    }

    /// Returns a page of the caller's sessions, newest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Capability::Manage`], and errors of the store.
    pub async fn list(&self, caller: &Caller, page: &SessionPage) -> Result<Vec<Session>> {
        let scope = caller.may(Capability::Manage)?;
        let (sessions, now) = (self.ports.store.list(&scope, page).await?, self.now());
        Ok(sessions.into_iter().map(|session| self.ports.leases.apply(session, now)).collect())
    }

    /// Creates a session. With `start`, a pairing attempt begins at once.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Validation`], [`Error::Full`], [`Error::RateLimited`], and
    /// errors of the store.
    pub async fn create(
        &self,
        caller: &Caller,
        settings: Settings,
        start: bool,
        recorder: Recorder<'_, Session>,
    ) -> Result<Session> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let violations = settings.violations();
        if !violations.is_empty() {
            return Err(Error::Validation(violations));
        }
        let decide = |()| {
            let change = self.creation(&scope, settings.clone(), start)?;
            change.into_insert(scope.actor(), &*self.ports.environment, recorder)
        };
        execute(&self.owned_sessions(&scope, recorder), || ready(Ok(())), decide).await
    }

    /// Returns the change that inserts a session, and begins a pairing attempt if `start` is true.
    fn creation(&self, scope: &Scope, settings: Settings, start: bool) -> Result<Change> {
        let organization = scope.organization().clone();
        let user = scope.actor().user().cloned();
        let session = Session::new(organization, user, settings, &*self.ports.environment);
        let mut change = session.created();
        if start {
            let pairing = change.session.clone().pair(None, self.now(), &self.deadlines)?;
            if let Some(pairing) = pairing {
                change.session = pairing.session;
                change.new_events.extend(pairing.new_events);
                change.attempt = pairing.attempt;
            }
        }
        Ok(change)
    }

    /// Returns one session.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], and errors of the store.
    pub async fn view(&self, caller: &Caller, id: &str) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        let session = self.find(&scope, id).await?;
        Ok(self.ports.leases.apply(session, self.now()))
    }

    /// Changes settings.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::PreconditionFailed`] at another version
    /// than `expected`, [`Error::Validation`], [`Error::Full`], and errors of the store.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &str,
        expected: Option<Version>,
        patch: SettingsPatch,
    ) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        let edit = |session: Session| session.require_version(expected)?.edit(patch.clone());
        self.change(&scope, id, None, edit).await
    }

    /// Returns the linked device: from the node if it answers in time, otherwise as last reported.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] for the session or without a linked device,
    /// [`Error::NotImplemented`] if the node does not support the question, and errors of the
    /// store.
    pub async fn identity(&self, caller: &Caller, id: &str) -> Result<SessionIdentity> {
        let scope = caller.may(Capability::Manage)?;
        let session = self.find(&scope, id).await?;
        let stored = or_not_found("identity", session.observed.identity.clone())?;
        let live = self.live_identity(&session).await?;
        let mut session = self.ports.leases.apply(session, self.now());
        let Some(live) = live else {
            return Ok(SessionIdentity { session, identity: stored, connected: false });
        };
        if let Some(snapshot) = live.snapshot {
            // The answer of the node is newer than its last report, and the result contains both.
            session.observed.status = snapshot.status;
        }
        let connected = live.connected && session.observed.status == Status::Working;
        Ok(SessionIdentity { session, identity: live.identity.unwrap_or(stored), connected })
    }

    /// Connects a paired session.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::NotPaired`], a conflict if an unlink is
    /// in progress, and errors of the store.
    pub async fn start(
        &self,
        caller: &Caller,
        id: &str,
        recorder: Recorder<'_, Session>,
    ) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        self.change(&scope, id, recorder, |session| session.start(self.now(), &self.deadlines))
            .await
    }

    /// Disconnects a session or ends its pairing attempt. The device stays linked.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], and errors of the store.
    pub async fn stop(
        &self,
        caller: &Caller,
        id: &str,
        recorder: Recorder<'_, Session>,
    ) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        self.change(&scope, id, recorder, |session| Ok(session.stop(self.now()))).await
    }

    /// Closes the connection and opens a new one.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn restart(
        &self,
        caller: &Caller,
        id: &str,
        recorder: Recorder<'_, Session>,
    ) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        let restart = |session: Session| session.restart(self.now(), &self.deadlines).map(Some);
        self.change(&scope, id, recorder, restart).await
    }

    /// Unlinks the device and keeps the session. Waits for WhatsApp up to the logout deadline, then
    /// returns the present state. The unlink continues.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], and errors of the store.
    pub async fn logout(
        &self,
        caller: &Caller,
        id: &str,
        recorder: Recorder<'_, Session>,
    ) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        let step = |session: Session| Ok(session.logout(self.now(), &self.deadlines));
        let mut session = self.change(&scope, id, recorder, step).await?;
        let until = self.now().plus(self.deadlines.logout);
        let mut subscription = self.ports.notifier.clone().subscribe(Topic::Session(&session.id));
        while session.spec.unlink.is_some() && !session.is_unlink_blocked() && self.now() < until {
            subscription.wait(Some(session.version), self.now().until(until)).await;
            session = self.find(&scope, id).await?;
        }
        Ok(session)
    }

    /// Returns the answer of the node, or `None` if the node cannot be asked.
    async fn live_identity(&self, session: &Session) -> Result<Option<LiveIdentity>> {
        let Some(gateway) = &session.gateway else { return Ok(None) };
        let Some(node) = self.ports.nodes.find(gateway).await? else { return Ok(None) };
        if !node.supports_identity() {
            return Err(Error::NotImplemented);
        }
        if !node.is_live(self.now(), self.deadlines.lease) {
            return Ok(None);
        }
        Ok(self.ports.session_control.identity(&node, &session.id).await.ok())
    }

    /// Changes one session. `None` from `decide` writes no change.
    pub(super) async fn change(
        &self,
        scope: &Scope,
        id: &str,
        recorder: Recorder<'_, Session>,
        decide: impl Fn(Session) -> Result<Option<Change>>,
    ) -> Result<Session> {
        let decide = |session: Session| match decide(session.clone())? {
            None => Ok(Decision::Keep(session)),
            Some(change) => change.into_update(scope.actor(), &*self.ports.environment, recorder),
        };
        execute(&self.owned_sessions(scope, recorder), || self.find(scope, id), decide).await
    }

    pub(super) fn owned_sessions<'a>(
        &'a self,
        scope: &'a Scope,
        recorder: Recorder<'a, Session>,
    ) -> OwnedSessions<'a> {
        let (store, notifier) = (&*self.ports.store, Some(&*self.ports.notifier));
        OwnedSessions { store, scope, notifier, recorder }
    }

    pub(crate) async fn find(&self, scope: &Scope, id: &str) -> Result<Session> {
        let session = match SessionId::parse(id) {
            Some(id) => self.ports.store.find(scope, &id).await?,
            None => None,
        };
        or_not_found("session", session)
    }

    /// Returns the session as shown now: with the lease of its node.
    pub(crate) fn with_lease(&self, session: Session) -> Session {
        self.ports.leases.apply(session, self.now())
    }

    pub(crate) fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    pub(super) fn now(&self) -> Timestamp {
        self.ports.environment.now()
    }
}

impl Session {
    /// Returns true if the node has reported, under the epoch of the unlink, that it cannot read
    /// the keys. Waiting does not help; the unlink continues.
    fn is_unlink_blocked(&self) -> bool {
        self.has_unavailable_keys() && self.observed.epoch == self.spec.epoch
    }

    /// Returns the session if it has the version that the caller expects.
    pub(super) fn require_version(self, expected: Option<Version>) -> Result<Self> {
        match expected {
            Some(version) if version != self.version => Err(Error::PreconditionFailed),
            _ => Ok(self),
        }
    }
}
