//! A node's process: it enlists, beats, reports, and closes everything when its lease runs out by a
//! clock of its own, as `berth-gateway` does.

use std::{collections::BTreeMap, time::Duration};

use domain::{
    GatewayId, HeartbeatOutcome, HeldSession, Nodes, Registration, ReportOutcome, SessionId,
    Snapshot, Status, testing::FakeSessionControl,
};

/// Something a node once said.
#[derive(Clone)]
pub(crate) struct Word {
    incarnation: String,
    session: SessionId,
    snapshot: Snapshot,
}

/// One node.
pub(crate) struct NodeProcess {
    pub(crate) id: GatewayId,
    pub(crate) gateway: FakeSessionControl,
    /// Whether its calls reach a router.
    pub(crate) reaches: bool,
    /// Whether the answers to its calls are lost.
    pub(crate) deaf: bool,
    /// By its clock, when it sent the newest call whose answer it heard.
    heard_at: Option<i64>,
    capacity: u32,
    starts: u32,
    /// How many of its clock's milliseconds go by in a second.
    rate: i64,
    now: i64,
    beats_at: i64,
    lease_ends: Option<i64>,
    registered: bool,
    acknowledged: BTreeMap<SessionId, Snapshot>,
    words: Vec<Word>,
}

impl NodeProcess {
    pub(crate) fn new(name: &str, gateway: FakeSessionControl, capacity: u32, rate: i64) -> Self {
        gateway.set_capacity(usize::try_from(capacity).unwrap());
        let mut node = Self {
            id: GatewayId::parse(name).unwrap(),
            gateway,
            reaches: true,
            deaf: false,
            heard_at: None,
            capacity,
            starts: 0,
            rate,
            now: 0,
            beats_at: 0,
            lease_ends: None,
            registered: false,
            acknowledged: BTreeMap::new(),
            words: Vec::new(),
        };
        node.restart();
        node
    }

    /// Its process dies and starts again.
    pub(crate) fn restart(&mut self) {
        self.gateway.restart();
        self.starts += 1;
        (self.registered, self.lease_ends) = (false, None);
        self.acknowledged.clear();
        self.beats_at = self.now;
    }

    /// The sessions that are logged in here.
    pub(crate) fn online(&self) -> Vec<SessionId> {
        self.with(|snapshot| snapshot.status == Status::Working)
    }

    /// The sessions whose device is linked by keys that lie here.
    pub(crate) fn linked(&self) -> Vec<SessionId> {
        self.with(|snapshot| snapshot.identity.is_some())
    }

    fn with(&self, is_so: impl Fn(&Snapshot) -> bool) -> Vec<SessionId> {
        let held = self.gateway.held().into_iter();
        held.filter(|id| self.gateway.snapshot(id).is_some_and(|s| is_so(&s))).collect()
    }

    /// Lets time pass by its clock.
    pub(crate) async fn tick(&mut self, seconds: i64, router: &Nodes) {
        self.now += seconds * self.rate;
        if self.lease_ends.is_some_and(|ends| ends <= self.now) {
            self.gateway.expire_lease();
            (self.registered, self.lease_ends) = (false, None);
        }
        self.listen();
        if self.reaches && self.beats_at <= self.now {
            self.heartbeat(router).await;
        }
    }

    /// Renews its lease, or asks for one.
    async fn heartbeat(&mut self, router: &Nodes) {
        self.beats_at = self.now + 5_000;
        if self.registered {
            let held = self.gateway.held().into_iter();
            let held: Vec<_> = held
                .filter_map(|session| {
                    let epoch = self.gateway.snapshot(&session)?.epoch;
                    Some(HeldSession { session, epoch })
                })
                .collect();
            let heard = self.heard_at.map_or(0, |heard| self.now - heard);
            let heard = Some(Duration::from_millis(u64::try_from(heard).unwrap()));
            let answer =
                router.heartbeat(&self.id, &self.incarnation(), &held, heard).await.unwrap();
            if self.deaf {
                return;
            }
            self.heard_at = Some(self.now);
            match answer {
                HeartbeatOutcome::Renewed { length, lost, .. } => {
                    self.lease_ends = Some(self.now + millis(length));
                    for session in &lost {
                        self.gateway.release(session);
                    }
                    return;
                }
                HeartbeatOutcome::NotRegistered => self.registered = false,
            }
        }
        let lease = router.register(self.enlistment()).await.unwrap();
        if self.deaf {
            return;
        }
        self.heard_at = Some(self.now);
        (self.registered, self.lease_ends) = (true, Some(self.now + millis(lease.length)));
        self.gateway.register(lease.generation);
        self.acknowledged.clear();
    }

    /// Tells what is new; the answer may get lost, and all is told again.
    pub(crate) async fn report(&mut self, router: &Nodes, acknowledged: bool) {
        self.listen();
        if !self.reaches || !self.registered {
            return;
        }
        let events: Vec<_> = self
            .shown()
            .into_iter()
            .filter(|(id, snapshot)| self.acknowledged.get(id) != Some(snapshot))
            .collect();
        let outcome_reported =
            router.report(&self.id, &self.incarnation(), events.clone()).await.unwrap();
        match outcome_reported {
            _ if self.deaf => {}
            ReportOutcome::NotRegistered => (self.registered, self.beats_at) = (false, self.now),
            ReportOutcome::Accepted { .. } if acknowledged => self.acknowledged.extend(events),
            ReportOutcome::Accepted { .. } => {}
        }
    }

    /// Something it once said arrives again, in its own name or another's.
    pub(crate) async fn repeat(&self, which: usize, router: &Nodes, by: &Self) {
        if self.words.is_empty() {
            return;
        }
        let Word { incarnation, session, snapshot } = self.words[which % self.words.len()].clone();
        // In another's name it is heard as that one's newest word.
        let incarnation = if by.id == self.id { incarnation } else { by.incarnation() };
        drop(router.report(&by.id, &incarnation, vec![(session, snapshot)]).await.unwrap());
    }

    /// Remembers what it shows now.
    fn listen(&mut self) {
        for (session, snapshot) in self.shown() {
            let known = |word: &Word| word.session == session && word.snapshot == snapshot;
            if !self.words.iter().any(known) {
                let incarnation = self.incarnation();
                self.words.push(Word { incarnation, session, snapshot });
            }
        }
    }

    /// Every session that a router has spoken of since this start.
    fn shown(&self) -> Vec<(SessionId, Snapshot)> {
        let held = self.gateway.held().into_iter();
        let shown = held.filter_map(|id| self.gateway.snapshot(&id).map(|snapshot| (id, snapshot)));
        shown.filter(|(_, snapshot)| snapshot.epoch > 0).collect()
    }

    fn incarnation(&self) -> String {
        format!("{}-{}", self.id, self.starts)
    }

    fn enlistment(&self) -> Registration {
        Registration {
            id: self.id.clone(),
            address: "http://127.0.0.1:1".to_owned(),
            incarnation: self.incarnation(),
            version: "test".to_owned(),
            features: vec!["identity".to_owned()],
            capacity: self.capacity,
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}
