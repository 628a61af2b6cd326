//! The process of a node: it registers, sends heartbeats and reports, and closes all connections
//! when its lease ends by its own clock, as `berth-gateway` does.

use std::{collections::BTreeMap, time::Duration};

use domain::{
    GatewayId, HeartbeatOutcome, HeldSession, Nodes, Registration, ReportOutcome, SessionId,
    Snapshot, Status, testing::FakeSessionControl,
};

/// A report that a node has sent.
#[derive(Clone)]
pub(crate) struct SentReport {
    incarnation: String,
    session: SessionId,
    snapshot: Snapshot,
}

/// A simulated node.
pub(crate) struct NodeProcess {
    pub(crate) id: GatewayId,
    pub(crate) gateway: FakeSessionControl,
    /// Whether calls of the node reach a router.
    pub(crate) reachable: bool,
    /// Whether responses to calls of the node are lost.
    pub(crate) loses_responses: bool,
    /// When the node sent the newest call that got a response, by the node's clock.
    response_at: Option<i64>,
    capacity: u32,
    starts: u32,
    /// Milliseconds of the node's clock per second of true time.
    rate: i64,
    now: i64,
    next_heartbeat_at: i64,
    lease_ends: Option<i64>,
    registered: bool,
    acknowledged: BTreeMap<SessionId, Snapshot>,
    sent_reports: Vec<SentReport>,
}

impl NodeProcess {
    pub(crate) fn new(name: &str, gateway: FakeSessionControl, capacity: u32, rate: i64) -> Self {
        gateway.set_capacity(usize::try_from(capacity).unwrap());
        let mut node = Self {
            id: GatewayId::parse(name).unwrap(),
            gateway,
            reachable: true,
            loses_responses: false,
            response_at: None,
            capacity,
            starts: 0,
            rate,
            now: 0,
            next_heartbeat_at: 0,
            lease_ends: None,
            registered: false,
            acknowledged: BTreeMap::new(),
            sent_reports: Vec::new(),
        };
        node.restart();
        node
    }

    /// Stops the process and starts a new one.
    pub(crate) fn restart(&mut self) {
        self.gateway.restart();
        self.starts += 1;
        (self.registered, self.lease_ends) = (false, None);
        self.acknowledged.clear();
        self.next_heartbeat_at = self.now;
    }

    /// Returns the sessions that are logged in on this node.
    pub(crate) fn online(&self) -> Vec<SessionId> {
        self.sessions_where(|snapshot| snapshot.status == Status::Working)
    }

    /// Returns the sessions whose device is linked by keys on this node.
    pub(crate) fn linked(&self) -> Vec<SessionId> {
        self.sessions_where(|snapshot| snapshot.identity.is_some())
    }

    fn sessions_where(&self, predicate: impl Fn(&Snapshot) -> bool) -> Vec<SessionId> {
        let held = self.gateway.held().into_iter();
        held.filter(|id| self.gateway.snapshot(id).is_some_and(|s| predicate(&s))).collect()
    }

    /// Lets time pass by the node's clock.
    pub(crate) async fn tick(&mut self, seconds: i64, router: &Nodes) {
        self.now += seconds * self.rate;
        if self.lease_ends.is_some_and(|ends| ends <= self.now) {
            self.gateway.expire_lease();
            (self.registered, self.lease_ends) = (false, None);
        }
        self.record_reports();
        if self.reachable && self.next_heartbeat_at <= self.now {
            self.heartbeat(router).await;
        }
    }

    /// Renews the lease, or registers.
    async fn heartbeat(&mut self, router: &Nodes) {
        self.next_heartbeat_at = self.now + 5_000;
        if self.registered {
            let held = self.gateway.held().into_iter();
            let held: Vec<_> = held
                .filter_map(|session| {
                    let epoch = self.gateway.snapshot(&session)?.epoch;
                    Some(HeldSession { session, epoch })
                })
                .collect();
            let response_age = self.response_at.map_or(0, |sent| self.now - sent);
            let response_age = Some(Duration::from_millis(u64::try_from(response_age).unwrap()));
            let outcome =
                router.heartbeat(&self.id, &self.incarnation(), &held, response_age).await.unwrap();
            if self.loses_responses {
                return;
            }
            self.response_at = Some(self.now);
            match outcome {
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
        let lease = router.register(self.registration()).await.unwrap();
        if self.loses_responses {
            return;
        }
        self.response_at = Some(self.now);
        (self.registered, self.lease_ends) = (true, Some(self.now + millis(lease.length)));
        self.gateway.register(lease.generation);
        self.acknowledged.clear();
    }

    /// Reports changed snapshots. Without an acknowledgement the next report repeats them.
    pub(crate) async fn report(&mut self, router: &Nodes, acknowledged: bool) {
        self.record_reports();
        if !self.reachable || !self.registered {
            return;
        }
        let events: Vec<_> = self
            .snapshots()
            .into_iter()
            .filter(|(id, snapshot)| self.acknowledged.get(id) != Some(snapshot))
            .collect();
        let outcome = router.report(&self.id, &self.incarnation(), events.clone()).await.unwrap();
        match outcome {
            _ if self.loses_responses => {}
            ReportOutcome::NotRegistered => {
                (self.registered, self.next_heartbeat_at) = (false, self.now);
            }
            ReportOutcome::Accepted { .. } if acknowledged => self.acknowledged.extend(events),
            ReportOutcome::Accepted { .. } => {}
        }
    }

    /// Sends an earlier report again, under this node's or another node's id.
    pub(crate) async fn replay(&self, which: usize, router: &Nodes, by: &Self) {
        if self.sent_reports.is_empty() {
            return;
        }
        let SentReport { incarnation, session, snapshot } =
            self.sent_reports[which % self.sent_reports.len()].clone();
        // Under another id, the report has that node's current incarnation.
        let incarnation = if by.id == self.id { incarnation } else { by.incarnation() };
        drop(router.report(&by.id, &incarnation, vec![(session, snapshot)]).await.unwrap());
    }

    /// Remembers the current snapshots for later replays.
    fn record_reports(&mut self) {
        for (session, snapshot) in self.snapshots() {
            let is_recorded =
                |word: &SentReport| word.session == session && word.snapshot == snapshot;
            if !self.sent_reports.iter().any(is_recorded) {
                let incarnation = self.incarnation();
                self.sent_reports.push(SentReport { incarnation, session, snapshot });
            }
        }
    }

    /// Returns the snapshots of all sessions that a router has declared since the start.
    fn snapshots(&self) -> Vec<(SessionId, Snapshot)> {
        let held = self.gateway.held().into_iter();
        let snapshots =
            held.filter_map(|id| self.gateway.snapshot(&id).map(|snapshot| (id, snapshot)));
        snapshots.filter(|(_, snapshot)| snapshot.epoch > 0).collect()
    }

    fn incarnation(&self) -> String {
        format!("{}-{}", self.id, self.starts)
    }

    fn registration(&self) -> Registration {
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
