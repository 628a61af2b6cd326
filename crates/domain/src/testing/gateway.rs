//! A gateway that remembers: one node's worth of sessions, with phones that do what the test says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    Attempt, Declaration, Identity, LiveIdentity, LogoutOutcome, Node, PairingCode, QrCode,
    ReasonCode, SessionId, Snapshot, SnapshotReason, Status, Timestamp,
    ports::{Environment, Gateway, GatewayError},
};

/// One node that keeps what it was told and plays WhatsApp's part as the test says.
#[derive(Clone)]
pub struct RememberingGateway {
    state: Arc<Mutex<State>>,
    environment: Arc<dyn Environment>,
}

#[derive(Debug, Default)]
struct State {
    sessions: BTreeMap<SessionId, Entry>,
    /// The newest epoch of everything ever forgotten.
    forgotten: BTreeMap<SessionId, u64>,
    calls: Vec<String>,
    phones: u32,
    down: bool,
    mute: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    declaration: Declaration,
    snapshot: Snapshot,
}

/// For how long a QR code of this gateway can be scanned.
const QR_LIFE: Duration = Duration::from_secs(60);
/// For how long a pairing code of this gateway can be typed.
const CODE_LIFE: Duration = Duration::from_secs(160);

impl RememberingGateway {
    /// Holding nothing.
    pub fn new(environment: Arc<dyn Environment>) -> Self {
        Self { state: Arc::default(), environment }
    }

    /// Every call it got, in order: `declare sess_… 3`.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// The sessions whose keys it holds.
    pub fn held(&self) -> Vec<SessionId> {
        self.lock().sessions.keys().cloned().collect()
    }

    /// A phone scans this QR code. `false` when no session shows it.
    pub fn scan(&self, qr: &str) -> bool {
        let now = self.environment.now();
        let mut state = self.lock();
        state.phones += 1;
        let phone = state.phones;
        let shows = |entry: &&mut Entry| {
            let attempt = entry.snapshot.pairing.as_ref();
            attempt.and_then(|a| a.qr.as_ref()).is_some_and(|q| q.text == qr && q.expires_at > now)
        };
        let Some(entry) = state.sessions.values_mut().find(shows) else { return false };
        entry.change(|snapshot| {
            snapshot.status = Status::Working;
            snapshot.identity = Some(identity(phone));
            snapshot.pairing = None;
            snapshot.reason = None;
        });
        true
    }

    /// Something happens to a session's connection: its new status and why, as WhatsApp would have
    /// it. An unlink takes the identity.
    pub fn befall(&self, session: &SessionId, status: Status, code: ReasonCode) {
        if let Some(entry) = self.lock().sessions.get_mut(session) {
            entry.change(|snapshot| {
                snapshot.status = status;
                let message = "as the test wants it".to_owned();
                snapshot.reason = Some(SnapshotReason { code, message, retry_at: None });
                snapshot.pairing = None;
                if code == ReasonCode::LoggedOutByPhone {
                    snapshot.identity = None;
                }
            });
        }
    }

    /// What it would report of a session.
    pub fn snapshot(&self, session: &SessionId) -> Option<Snapshot> {
        self.lock().sessions.get(session).map(|entry| entry.snapshot.clone())
    }

    /// From now on it cannot be reached, or can again.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// From now on WhatsApp confirms no unlink, or does again.
    pub fn set_mute(&self, mute: bool) {
        self.lock().mute = mute;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the gateway")
    }

    fn called(&self, what: String) -> Result<MutexGuard<'_, State>, GatewayError> {
        let mut state = self.lock();
        if state.down {
            return Err(GatewayError::Unavailable("down, as the test wants it".into()));
        }
        state.calls.push(what);
        Ok(state)
    }
}

#[async_trait]
impl Gateway for RememberingGateway {
    async fn declare(
        &self,
        _: &Node,
        session: &SessionId,
        declaration: &Declaration,
    ) -> Result<Snapshot, GatewayError> {
        let now = self.environment.now();
        let mut state = self.called(format!("declare {session} {}", declaration.epoch))?;
        if state.forgotten.get(session).is_some_and(|epoch| declaration.epoch <= *epoch) {
            return Err(GatewayError::Stale);
        }
        let entry = state.sessions.entry(session.clone()).or_insert_with(Entry::new);
        if declaration.epoch < entry.declaration.epoch {
            return Err(GatewayError::Stale);
        }
        if entry.declaration != *declaration {
            entry.declare(declaration, now);
        }
        Ok(entry.snapshot.clone())
    }

    async fn logout(
        &self,
        _: &Node,
        session: &SessionId,
        epoch: u64,
        _: Duration,
    ) -> Result<(LogoutOutcome, Snapshot), GatewayError> {
        let mut state = self.called(format!("logout {session} {epoch}"))?;
        let mute = state.mute;
        let entry = state.sessions.entry(session.clone()).or_insert_with(Entry::new);
        if epoch < entry.declaration.epoch {
            return Err(GatewayError::Stale);
        }
        entry.declaration.epoch = epoch;
        entry.snapshot.epoch = epoch;
        let outcome = match entry.snapshot.identity {
            None => LogoutOutcome::NotLinked,
            Some(_) if mute => LogoutOutcome::Unconfirmed,
            Some(_) => LogoutOutcome::Confirmed,
        };
        entry.change(|snapshot| {
            snapshot.status = Status::Stopped;
            snapshot.pairing = None;
            if outcome == LogoutOutcome::Confirmed {
                snapshot.identity = None;
            }
        });
        Ok((outcome, entry.snapshot.clone()))
    }

    async fn forget(&self, _: &Node, session: &SessionId, epoch: u64) -> Result<(), GatewayError> {
        let mut state = self.called(format!("forget {session} {epoch}"))?;
        let newer = |entry: &Entry| entry.declaration.epoch > epoch;
        if state.sessions.get(session).is_some_and(newer) {
            return Err(GatewayError::Stale);
        }
        state.sessions.remove(session);
        state.forgotten.insert(session.clone(), epoch);
        Ok(())
    }

    async fn identity(&self, _: &Node, session: &SessionId) -> Result<LiveIdentity, GatewayError> {
        let state = self.called(format!("identity {session}"))?;
        let snapshot = &state.sessions.get(session).ok_or(GatewayError::Unknown)?.snapshot;
        let connected = snapshot.status == Status::Working;
        Ok(LiveIdentity { connected, identity: snapshot.identity.clone() })
    }
}

impl Entry {
    fn new() -> Self {
        let declaration = Declaration { epoch: 0, running: false, restarts: 0, pairing: None };
        let snapshot = Snapshot {
            epoch: 0,
            boot: 1,
            seq: 0,
            status: Status::Stopped,
            reason: None,
            identity: None,
            pairing: None,
        };
        Self { declaration, snapshot }
    }

    fn change(&mut self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.snapshot);
        self.snapshot.seq += 1;
    }

    fn declare(&mut self, declaration: &Declaration, now: Timestamp) {
        let linked = self.snapshot.identity.is_some();
        let epoch = declaration.epoch;
        self.declaration = declaration.clone();
        self.change(|snapshot| {
            snapshot.epoch = epoch;
            match (&declaration.pairing, declaration.running) {
                (_, true) if linked => {
                    (snapshot.status, snapshot.reason) = (Status::Working, None);
                }
                (Some(pairing), true) => {
                    (snapshot.status, snapshot.reason) = (Status::ScanQrCode, None);
                    let qr = QrCode {
                        text: format!("qr-{epoch}-{}", now.millis()),
                        expires_at: now.plus(QR_LIFE),
                        number: 1,
                        of: 6,
                    };
                    let code = pairing.phone.clone().map(|phone| PairingCode {
                        code: format!("C0DE{:04}", pairing.request),
                        request: pairing.request,
                        phone,
                        expires_at: now.plus(CODE_LIFE),
                    });
                    snapshot.pairing =
                        Some(Attempt { attempt: pairing.attempt, qr: Some(qr), code });
                }
                (_, false) => {
                    (snapshot.status, snapshot.reason) = (Status::Stopped, None);
                    snapshot.pairing = None;
                }
                (None, true) => snapshot.pairing = None,
            }
        });
    }
}

fn identity(phone: u32) -> Identity {
    let number = format!("1555{phone:07}");
    Identity {
        jid: format!("{number}:{phone}@s.whatsapp.net"),
        lid: Some(format!("9{number}:{phone}@lid")),
        phone: number,
        device: phone,
        push_name: Some("Test Phone".to_owned()),
    }
}
