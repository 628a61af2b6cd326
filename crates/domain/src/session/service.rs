//! What callers do with sessions. Every use case is: scope, find, decide, write once, ring.

use std::{sync::Arc, time::Duration};

use super::{Change, Session, Settings, SettingsPatch, Status, Version};
use crate::{
    Caller, Capability, Deadlines, Error, IdempotencyRecord, Identity, Leases, LiveIdentity,
    PairingCode, Phone, QrCode, RecordResponse, Result, Scope, SessionId, Timestamp, Violation,
    idempotency, or_not_found,
    ports::{
        ChangeNotifier, Environment, NodeStore, Notifier, SessionControl, SessionPage,
        SessionStore, Written,
    },
};

/// What [`Sessions`] needs of the world.
#[derive(Clone)]
pub struct SessionPorts {
    /// Where sessions are remembered.
    pub store: Arc<dyn SessionStore>,
    /// Where nodes are remembered.
    pub nodes: Arc<dyn NodeStore>,
    /// How nodes are asked.
    pub session_control: Arc<dyn SessionControl>,
    /// Time and new names.
    pub environment: Arc<dyn Environment>,
    /// Wakes the reconciler.
    pub worker_notifier: Arc<dyn Notifier>,
    /// Wakes whoever waits for a session to change.
    pub change_notifier: Arc<dyn ChangeNotifier>,
    /// Until when the nodes' leases run.
    pub leases: Arc<Leases>,
}

/// The use cases of sessions.
#[derive(Clone)]
pub struct Sessions {
    pub(super) ports: SessionPorts,
    pub(super) deadlines: Deadlines,
    recorder: Option<Arc<dyn RecordResponse<Session>>>,
}

/// Who is attached to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionIdentity {
    /// The session as it is known.
    pub session: Session,
    /// The linked device.
    pub identity: Identity,
    /// Logged in at this moment, by its node's own word.
    pub connected: bool,
}

/// How often a write is tried again when others change the same session meanwhile.
pub(super) const MAX_WRITE_ATTEMPTS: u32 = 16;
/// How long a request for a pairing code waits for it.
const PAIRING_CODE_WAIT: Duration = Duration::from_secs(20);

/// What the owner hears when WhatsApp makes no pairing code.
const NO_PAIRING_CODE: &str = "WhatsApp gave no pairing code; the session's statusReason says why";

impl Sessions {
    /// The use cases over these ports.
    pub fn new(ports: SessionPorts, deadlines: Deadlines) -> Self {
        Self { ports, deadlines, recorder: None }
    }

    /// The same, for a request whose answer is kept: what it changes is written with a receipt, and
    /// where nothing changes nothing is written. Not for asking for codes: a receipt would have to
    /// hold the code, which is not there yet, and asking twice begins one attempt anyhow.
    #[must_use]
    pub fn recording(&self, recorder: Arc<dyn RecordResponse<Session>>) -> Self {
        Self { recorder: Some(recorder), ..self.clone() }
    }

    /// The caller's sessions, newest first.
    pub async fn list(&self, caller: &Caller, page: &SessionPage) -> Result<Vec<Session>> {
        let scope = caller.may(Capability::Manage)?;
        let (sessions, now) = (self.ports.store.list(&scope, page).await?, self.now());
        Ok(sessions.into_iter().map(|session| self.ports.leases.apply(session, now)).collect())
    }

    /// A new session; with `start`, pairing begins at once.
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
        let environment = &*self.ports.environment;
        let user = scope.actor().user().cloned();
        let session = Session::new(scope.organization().clone(), user, settings, environment);
        let mut change = session.created();
        if start {
            let pairing = change.session.clone().pair(None, self.now(), &self.deadlines)?;
            if let Some(pairing) = pairing {
                change.session = pairing.session;
                change.new_events.extend(pairing.new_events);
                change.attempt = pairing.attempt;
            }
        }
        let attempt = change.attempt.take();
        let (session, _, events) = change.into_commit(scope.actor(), environment);
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

    /// One session.
    pub async fn view(&self, caller: &Caller, id: &str) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        let session = self.find(&scope, id).await?;
        Ok(self.ports.leases.apply(session, self.now()))
    }

    /// Changes settings.
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

    /// Who is attached: from the node when it answers in time, else as last reported.
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
            // What the node sees now is newer than what it last reported, and both are shown together.
            session.observed.status = snapshot.status;
        }
        let connected = live.connected && session.observed.status == Status::Working;
        Ok(SessionIdentity { session, identity: live.identity.unwrap_or(stored), connected })
    }

    /// The QR code of the moment. Begins pairing when none is under way, and waits for a code.
    pub async fn qr(&self, caller: &Caller, id: &str, wait: Duration) -> Result<QrCode> {
        let scope = caller.may(Capability::Manage)?;
        let session = self.pair(&scope, id, None).await?;
        let code = self.wait_for(&scope, session, wait, Session::live_qr).await?;
        let retry_after = Duration::from_secs(2);
        code.ok_or(Error::NotYet { noun: "QR code", retry_after })
    }

    /// A code to type on this phone. Begins pairing when none is under way, and waits for the code.
    pub async fn pairing_code(
        &self,
        caller: &Caller,
        id: &str,
        phone: &str,
    ) -> Result<PairingCode> {
        let scope = caller.may(Capability::Manage)?;
        let Some(phone) = Phone::parse(phone) else {
            let reason = "7 to 15 digits, in international form without the plus or a leading 0";
            return Err(Error::Validation(vec![Violation::new("/phone", reason)]));
        };
        let session = self.pair(&scope, id, Some(&phone)).await?;
        let answer = |session: &Session, now| match session.live_code(now) {
            None if session.observed.code_refused() => Some(Err(Error::conflict(NO_PAIRING_CODE))),
            code => code.map(Ok),
        };
        let answer = self.wait_for(&scope, session, PAIRING_CODE_WAIT, answer).await?;
        answer.unwrap_or_else(|| Err(Error::unavailable("no pairing code came in time")))
    }

    /// Connects a paired session.
    pub async fn start(&self, caller: &Caller, id: &str) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        self.change(&scope, id, |session| session.start(self.now(), &self.deadlines)).await
    }

    /// Disconnects; the device stays linked. Also ends a pairing.
    pub async fn stop(&self, caller: &Caller, id: &str) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        self.change(&scope, id, |session| Ok(session.stop(self.now()))).await
    }

    /// Reconnects.
    pub async fn restart(&self, caller: &Caller, id: &str) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        self.change(&scope, id, |session| session.restart(self.now(), &self.deadlines).map(Some))
            .await
    }

    /// Unlinks the device and keeps the session. Waits for WhatsApp for a while, then answers with
    /// what is true; the unlink goes on.
    pub async fn logout(&self, caller: &Caller, id: &str) -> Result<Session> {
        let scope = caller.may(Capability::Manage)?;
        let step = |session: Session| Ok(session.logout(self.now(), &self.deadlines));
        let mut session = self.change(&scope, id, step).await?;
        let until = self.now().plus(self.deadlines.logout);
        let mut subscription = self.ports.change_notifier.clone().subscribe(&session.id);
        while session.spec.unlink.is_some() && !session.is_unlink_blocked() && self.now() < until {
            subscription.changed_since(session.version, self.now().until(until)).await;
            session = self.find(&scope, id).await?;
        }
        Ok(session)
    }

    async fn pair(&self, scope: &Scope, id: &str, phone: Option<&Phone>) -> Result<Session> {
        self.change(scope, id, |session| session.pair(phone, self.now(), &self.deadlines)).await
    }

    /// Waits until the session has what `spec` looks for, its pairing is over, or the time is up.
    async fn wait_for<T>(
        &self,
        scope: &Scope,
        mut session: Session,
        wait: Duration,
        answer: impl Fn(&Session, Timestamp) -> Option<T>,
    ) -> Result<Option<T>> {
        let until = self.now().plus(wait);
        let mut subscription = self.ports.change_notifier.clone().subscribe(&session.id);
        loop {
            if let Some(answer) = answer(&session, self.now()) {
                return Ok(Some(answer));
            }
            if session.spec.pairing.is_none() {
                return Err(pairing_ended(&session));
            }
            if self.now() >= until {
                return Ok(None);
            }
            subscription.changed_since(session.version, self.now().until(until)).await;
            session = self.find(scope, session.id.as_str()).await?;
        }
    }

    /// What the node says, or `None` when it cannot be asked.
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

    /// Finds, decides and writes, again when somebody else wrote in between. `None` from `decide`
    /// writes nothing.
    async fn change(
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
        // The reconciler takes up what is due and nothing else.
        if session.due.is_some() {
            self.ports.worker_notifier.notify();
        }
        self.ports.change_notifier.publish(&session.id, Some(session.version));
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
    /// Whether its node has said, since the unlink was asked for, that it cannot read the keys: waiting
    /// would change nothing, and the unlink goes on by itself.
    fn is_unlink_blocked(&self) -> bool {
        self.has_unavailable_keys() && self.observed.epoch == self.spec.epoch
    }

    /// Itself, if it is at the version the caller expects.
    pub(super) fn require_version(self, expected: Option<Version>) -> Result<Self> {
        match expected {
            Some(version) if version != self.version => Err(Error::PreconditionFailed),
            _ => Ok(self),
        }
    }

    /// The QR code that can be scanned now.
    fn live_qr(&self, now: Timestamp) -> Option<QrCode> {
        let (spec, attempt) = (self.spec.pairing.as_ref()?, self.observed.pairing.as_ref()?);
        let qr = attempt.qr.as_ref()?;
        (attempt.attempt == spec.attempt && qr.expires_at > now).then(|| qr.clone())
    }

    /// The pairing code that can be typed now and answers the newest request.
    fn live_code(&self, now: Timestamp) -> Option<PairingCode> {
        let (spec, attempt) = (self.spec.pairing.as_ref()?, self.observed.pairing.as_ref()?);
        let code = attempt.code.as_ref()?;
        let newest = attempt.attempt == spec.attempt && code.request == spec.request;
        (newest && code.expires_at > now).then(|| code.clone())
    }
}

/// The pairing that was waited for is over.
fn pairing_ended(session: &Session) -> Error {
    if session.is_paired() {
        return Error::conflict("the session is paired; log it out to pair it again");
    }
    Error::conflict("the pairing ended without a link; the session's statusReason says why")
}

pub(super) fn write_contention() -> Error {
    Error::unavailable("the session was changed by others again and again")
}
