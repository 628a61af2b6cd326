//! A fake gateway: the sessions of one node, and phones that the test controls.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    gateway::node::Node,
    id::SessionId,
    ports::{
        environment::Environment,
        session_control::{GatewayError, SessionControl},
    },
    session::{
        observed::{LinkState, LiveIdentity, Snapshot},
        spec::Declaration,
        status::{ReasonCode, Status},
        unlink::LogoutOutcome,
    },
    testing::fake_session::FakeSession,
};

/// One node that stores its declarations and plays the part of WhatsApp.
#[derive(Clone)]
pub struct FakeSessionControl {
    state: Arc<Mutex<FakeGatewayState>>,
    environment: Arc<dyn Environment>,
}

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each flag is an independent fault, and tests combine them"
)]
struct FakeGatewayState {
    sessions: BTreeMap<SessionId, FakeSession>,
    /// Epoch of every removed session, and whether it was forgotten.
    gone: BTreeMap<SessionId, (u64, bool)>,
    /// Lowest number of new snapshots, never below an earlier one.
    seq: u64,
    calls: Vec<String>,
    phones: u32,
    /// 0 while the node is not registered.
    generation: u64,
    capacity: usize,
    down: bool,
    mute: bool,
    /// Whether a link is shown only after the connection closes.
    slow: bool,
    unreadable: bool,
    /// Sessions whose device is linked on WhatsApp, independent of the keys on the node.
    devices: BTreeSet<SessionId>,
}

impl FakeSessionControl {
    /// Creates a gateway without sessions, registered with generation 1.
    pub fn new(environment: Arc<dyn Environment>) -> Self {
        let state = FakeGatewayState {
            sessions: BTreeMap::new(),
            gone: BTreeMap::new(),
            seq: 0,
            calls: Vec::new(),
            phones: 0,
            generation: 1,
            capacity: usize::MAX,
            down: false,
            mute: false,
            slow: false,
            unreadable: false,
            devices: BTreeSet::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), environment }
    }

    /// Returns every received call in order, for example `declare sess_… 3`.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// Returns the sessions whose keys the node holds.
    pub fn held(&self) -> Vec<SessionId> {
        self.lock().sessions.keys().cloned().collect()
    }

    /// Lets a phone scan a QR code. Returns `false` if no session shows the code.
    pub fn scan(&self, qr: &str) -> bool {
        let now = self.environment.now();
        let mut state = self.lock();
        state.phones += 1;
        let phone = state.phones;
        let shows = |entry: &FakeSession| {
            let attempt = entry.snapshot.pairing.as_ref();
            attempt.and_then(|a| a.qr.as_ref()).is_some_and(|q| q.text == qr && q.expires_at > now)
        };
        let slow = state.slow;
        let FakeGatewayState { sessions, devices, .. } = &mut *state;
        let Some((id, entry)) = sessions.iter_mut().find(|(_, entry)| shows(entry)) else {
            return false;
        };
        entry.link(phone);
        devices.insert(id.clone());
        if !slow {
            entry.show_link();
        }
        true
    }

    /// Delays the view of new links, as if the notification were in flight, or shows all delayed
    /// ones.
    pub fn set_slow(&self, slow: bool) {
        let mut state = self.lock();
        state.slow = slow;
        if !slow {
            state.sessions.values_mut().for_each(FakeSession::show_link);
        }
    }

    /// Makes all keys unreadable or readable.
    pub fn set_unreadable(&self, unreadable: bool) {
        let (now, mut state) = (self.environment.now(), self.lock());
        state.unreadable = unreadable;
        if !unreadable {
            // A node reads unreadable keys again.
            for (id, entry) in &mut state.sessions {
                if entry.snapshot.link_state() == LinkState::Unknown {
                    entry.read_again(id, now);
                }
            }
        }
    }

    /// Returns the sessions whose device WhatsApp shows as linked.
    pub fn devices(&self) -> Vec<SessionId> {
        self.lock().devices.iter().cloned().collect()
    }

    /// Changes the status of an open connection as WhatsApp would. A logout by the phone removes the
    /// identity. A session without an open connection receives no message.
    pub fn report_status(&self, session: &SessionId, status: Status, code: ReasonCode) {
        let mut state = self.lock();
        let readable = !state.unreadable;
        let Some(entry) = state.sessions.get_mut(session).filter(|entry| entry.is_open()) else {
            return;
        };
        entry.report_status(status, code, readable);
        if code == ReasonCode::LoggedOutByPhone {
            state.devices.remove(session);
        }
    }

    /// Returns the present snapshot of a session.
    pub fn snapshot(&self, session: &SessionId) -> Option<Snapshot> {
        self.lock().sessions.get(session).map(|entry| entry.snapshot.clone())
    }

    /// Makes the node unreachable or reachable.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// Stops or resumes the confirmation of unlinks by WhatsApp.
    pub fn set_mute(&self, mute: bool) {
        self.lock().mute = mute;
    }

    /// Sets the maximum number of sessions.
    pub fn set_capacity(&self, capacity: usize) {
        self.lock().capacity = capacity;
    }

    /// Registers the node. The node accepts commands and reports under this generation.
    pub fn register(&self, generation: u64) {
        let mut state = self.lock();
        state.generation = generation;
        for entry in state.sessions.values_mut() {
            entry.snapshot.generation = generation;
        }
    }

    /// Ends the lease: all connections close, and the node rejects commands until it registers.
    pub fn expire_lease(&self) {
        let mut state = self.lock();
        state.generation = 0;
        let readable = !state.unreadable;
        state.sessions.values_mut().for_each(|entry| entry.suspend(readable));
    }

    /// Restarts the process: only keys remain, and the node rejects commands until it registers.
    pub fn restart(&self) {
        let mut state = self.lock();
        (state.generation, state.seq) = (0, 0);
        state.gone.clear();
        let sessions = std::mem::take(&mut state.sessions).into_iter();
        let readable = !state.unreadable;
        state.sessions =
            sessions.filter_map(|(id, old)| Some((id, old.restarted(readable)?))).collect();
    }

    /// Removes a session from the node: closed, and deleted unless linked.
    pub fn release(&self, session: &SessionId) {
        let mut state = self.lock();
        let readable = !state.unreadable;
        let Some(entry) = state.sessions.get_mut(session) else { return };
        entry.release();
        entry.close(readable);
        if entry.snapshot.link_state() == LinkState::NotLinked {
            let epoch = entry.declaration.epoch;
            state.remove(session, epoch, false);
        }
    }

    fn lock(&self) -> MutexGuard<'_, FakeGatewayState> {
        self.state.lock().expect("no test panics with the lock held")
    }

    /// Records a call if the node is reachable and registered.
    fn record_call(&self, what: String) -> Result<MutexGuard<'_, FakeGatewayState>, GatewayError> {
        let mut state = self.lock();
        if state.down {
            return Err(GatewayError::Unavailable("unreachable, as the test requires".into()));
        }
        if state.generation == 0 {
            return Err(GatewayError::Unavailable("not registered".into()));
        }
        state.calls.push(what);
        Ok(state)
    }
}

impl FakeGatewayState {
    /// Returns the session, or inserts it if the declaration is acceptable.
    fn entry(
        &mut self,
        session: &SessionId,
        declaration: &Declaration,
    ) -> Result<&mut FakeSession, GatewayError> {
        if !self.sessions.contains_key(session) {
            let (epoch, _) = self.gone.get(session).copied().unwrap_or_default();
            let revives = declaration.epoch == epoch && declaration.running;
            if declaration.epoch < epoch || revives {
                return Err(GatewayError::Stale);
            }
            // A session to close, or with keys on the node, needs no room.
            let needs_room = declaration.running && !declaration.linked;
            if needs_room && self.sessions.len() >= self.capacity {
                return Err(GatewayError::Full);
            }
        }
        let (generation, seq) = (self.generation, self.seq);
        Ok(self
            .sessions
            .entry(session.clone())
            .or_insert_with(|| FakeSession::new(generation, seq)))
    }

    fn remove(&mut self, session: &SessionId, epoch: u64, forgotten: bool) {
        if let Some(entry) = self.sessions.remove(session) {
            self.seq = self.seq.max(entry.snapshot.seq);
        }
        self.gone.insert(session.clone(), (epoch, forgotten));
    }
}

#[async_trait]
impl SessionControl for FakeSessionControl {
    async fn declare(
        &self,
        _: &Node,
        session: &SessionId,
        declaration: &Declaration,
    ) -> Result<Snapshot, GatewayError> {
        let now = self.environment.now();
        let mut state = self.record_call(format!("declare {session} {}", declaration.epoch))?;
        let readable = !state.unreadable;
        let entry = state.entry(session, declaration)?;
        if declaration.epoch < entry.declaration.epoch {
            return Err(GatewayError::Stale);
        }
        entry.declare(session, declaration, now, readable);
        Ok(entry.snapshot.clone())
    }

    async fn logout(
        &self,
        _: &Node,
        session: &SessionId,
        epoch: u64,
        linked: bool,
        _: Duration,
    ) -> Result<(LogoutOutcome, Snapshot), GatewayError> {
        let mut state = self.record_call(format!("logout {session} {epoch}"))?;
        let (mute, generation, seq) = (state.mute, state.generation, state.seq);
        let readable = !state.unreadable;
        let (_, forgotten) = state.gone.get(session).copied().unwrap_or_default();
        let FakeGatewayState { sessions, devices, .. } = &mut *state;
        let Some(entry) = sessions.get_mut(session) else {
            let mut blank = FakeSession::new(generation, seq);
            (blank.snapshot.epoch, blank.declaration.linked) = (epoch, linked && !forgotten);
            blank.close(readable);
            let unknown = blank.snapshot.link_state() == LinkState::Unknown;
            let outcome =
                if unknown { LogoutOutcome::Unconfirmed } else { LogoutOutcome::NotLinked };
            return Ok((outcome, blank.snapshot));
        };
        if epoch < entry.declaration.epoch {
            return Err(GatewayError::Stale);
        }
        entry.declaration.linked = linked;
        let outcome = entry.log_out(epoch, mute, readable);
        if outcome == LogoutOutcome::Confirmed {
            devices.remove(session);
        }
        Ok((outcome, entry.snapshot.clone()))
    }

    async fn forget(
        &self,
        _: &Node,
        session: &SessionId,
        epoch: u64,
        linked: bool,
    ) -> Result<(), GatewayError> {
        let mut state = self.record_call(format!("forget {session} {epoch}"))?;
        let known = state.sessions.get(session).map(|entry| entry.declaration.epoch);
        let gone = state.gone.get(session).map(|(epoch, _)| *epoch);
        if known.or(gone).is_some_and(|newest| newest > epoch) {
            return Err(GatewayError::Stale);
        }
        let readable = !state.unreadable;
        if let Some(entry) = state.sessions.get_mut(session).filter(|_| !linked) {
            entry.declaration.epoch = epoch;
            (entry.declaration.running, entry.declaration.pairing) = (false, None);
            (entry.snapshot.status, entry.snapshot.pairing) = (Status::Stopped, None);
            entry.close(readable);
            match entry.snapshot.link_state() {
                LinkState::Linked => return Err(GatewayError::Linked),
                LinkState::Unknown => return Err(GatewayError::Unavailable("keys".into())),
                LinkState::NotLinked | LinkState::Linking => {}
            }
        }
        state.remove(session, epoch, true);
        Ok(())
    }

    async fn identity(&self, _: &Node, session: &SessionId) -> Result<LiveIdentity, GatewayError> {
        let state = self.record_call(format!("identity {session}"))?;
        let snapshot = &state.sessions.get(session).ok_or(GatewayError::Unknown)?.snapshot;
        let connected = snapshot.status == Status::Working;
        let (identity, snapshot) = (snapshot.identity.clone(), Some(snapshot.clone()));
        Ok(LiveIdentity { connected, identity, snapshot })
    }
}
