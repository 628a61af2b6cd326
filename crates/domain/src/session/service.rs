//! Use cases of sessions. Each use case gets a scope, finds the session, decides, writes once and
//! notifies.

use std::sync::Arc;

use crate::{
    access::{Scope, or_not_found},
    caller::{Caller, Capability},
    deadlines::Deadlines,
    error::{Error, Result},
    gateway::leases::Leases,
    id::SessionId,
    idempotency::{self, IdempotencyRecord, RecordResponse},
    ports::{
        environment::Environment,
        notify::{Notification, Notifier, Topic},
        session_control::SessionControl,
        store::{
            nodes::NodeStore,
            sessions::{SessionPage, SessionStore},
            written::Written,
        },
    },
    session::{
        change::Change,
        model::Session,
        observed::LiveIdentity,
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
#[derive(Clone)]
pub struct Sessions {
    pub(super) ports: SessionPorts,
    pub(super) deadlines: Deadlines,
    recorder: Option<Arc<dyn RecordResponse<Session>>>,
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

/// Maximum number of attempts of a write that races with other writers of the session.
pub(super) const MAX_WRITE_ATTEMPTS: u32 = 16;
impl Sessions {
    /// Creates the use cases over these ports.
    pub fn new(ports: SessionPorts, deadlines: Deadlines) -> Self {
        Self { ports, deadlines, recorder: None }
    }

    /// Returns the use cases for a request with an idempotency key. A change is written with its
    /// idempotency record; a request without a change writes no record. Not for code requests: the
    /// code does not exist at the time of the write, and a repeated request joins the same attempt.
    #[must_use]
    pub fn recording(&self, recorder: Arc<dyn RecordResponse<Session>>) -> Self {
        Self { recorder: Some(recorder), ..self.clone() }
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
    ) -> Result<Session> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let violations = settings.violations();
        if !violations.is_empty() {
            return Err(Error::Validation(violations));
        }
        let mut change = self.creation(&scope, settings, start)?;
        let attempt = change.attempt.take();
        let (session, _, events) = change.into_commit(scope.actor(), &*self.ports.environment);
        let record = self.record(&session)?;
        let (store, record) = (&self.ports.store, record.as_ref());
        let written = match &attempt {
            None => store.insert(&scope, &session, &events, record).await?,
            Some(attempt) => {
                store
                    .write_with_link_attempt(&scope, &session, None, &events, record, attempt)
                    .await?
            }
        };
        match written {
            Written::Repeated => Err(idempotency::duplicate_request()),
            Written::Refused(refusal) => Err(refusal.into()),
            Written::Done | Written::Raced => {
                self.after_commit(&session);
                Ok(session)
            }
        }
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
        self.change(&scope, id, |session| session.require_version(expected)?.edit(patch.clone()))
            .await
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
    pub async fn start(&self, caller: &Caller, id: &str) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        self.change(&scope, id, |session| session.start(self.now(), &self.deadlines)).await
    }

    /// Disconnects a session or ends its pairing attempt. The device stays linked.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], and errors of the store.
    pub async fn stop(&self, caller: &Caller, id: &str) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        self.change(&scope, id, |session| Ok(session.stop(self.now()))).await
    }

    /// Closes the connection and opens a new one.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn restart(&self, caller: &Caller, id: &str) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        self.change(&scope, id, |session| session.restart(self.now(), &self.deadlines).map(Some))
            .await
    }

    /// Unlinks the device and keeps the session. Waits for WhatsApp up to the logout deadline, then
    /// returns the present state. The unlink continues.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], and errors of the store.
    pub async fn logout(&self, caller: &Caller, id: &str) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        let step = |session: Session| Ok(session.logout(self.now(), &self.deadlines));
        let mut session = self.change(&scope, id, step).await?;
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

    /// Finds, decides and writes. Repeats if another writer changed the session. `None` from
    /// `decide` writes no change.
    pub(super) async fn change(
        &self,
        scope: &Scope,
        id: &str,
        decide: impl Fn(Session) -> Result<Option<Change>>,
    ) -> Result<Session> {
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let session = self.find(scope, id).await?;
            let Some(mut change) = decide(session.clone())? else { return Ok(session) };
            let attempt = change.attempt.take();
            let (next, expected, events) =
                change.into_commit(scope.actor(), &*self.ports.environment);
            let record = self.record(&next)?;
            let (store, record) = (&self.ports.store, record.as_ref());
            let written = match &attempt {
                None => store.update(scope, &next, expected, &events, record).await?,
                Some(attempt) => {
                    let expected = Some(expected);
                    store
                        .write_with_link_attempt(scope, &next, expected, &events, record, attempt)
                        .await?
                }
            };
            match written {
                Written::Done => {
                    self.after_commit(&next);
                    return Ok(next);
                }
                Written::Raced => {}
                Written::Repeated => return Err(idempotency::duplicate_request()),
                Written::Refused(refusal) => return Err(refusal.into()),
            }
        }
        Err(write_contention())
    }

    fn record(&self, next: &Session) -> Result<Option<IdempotencyRecord>> {
        self.recorder.as_ref().map(|recorder| recorder.record(next)).transpose()
    }

    fn after_commit(&self, session: &Session) {
        if let Some(recorder) = &self.recorder {
            recorder.committed();
        }
        // The reconciler processes due sessions only.
        if session.due.is_some() {
            self.ports.notifier.notify(Notification::WorkDue);
        }
        let (session, version) = (&session.id, Some(session.version));
        self.ports.notifier.notify(Notification::SessionChanged { session, version });
    }

    pub(super) async fn find(&self, scope: &Scope, id: &str) -> Result<Session> {
        let session = match SessionId::parse(id) {
            Some(id) => self.ports.store.find(scope, &id).await?,
            None => None,
        };
        or_not_found("session", session)
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

pub(super) fn write_contention() -> Error {
    Error::unavailable("too many concurrent changes of the session")
}
