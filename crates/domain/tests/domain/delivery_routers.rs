//! Two routers that deliver the events of one webhook, step by step, and the receiver of these
//! events.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use domain::{
    AttemptId, AttemptKind, AttemptOutcome, Capability, Claimed, Deliveries, DeliveryFlush, Event,
    EventId, EventPayload, EventStream, FeedEvent, FeedPosition, FeedRights, Jitter, LEASE,
    LeaseChange, LeaseClaim, LeasedWebhook, MAX_AT_RISK, MIN_LEASE_FOR_ATTEMPT, OrderingKey,
    OutcomeClass, Pass, QueuedEvent, ReasonCode, Replay, SessionId, StartedAttempt, Timestamp,
    Webhook, WebhookKey, WebhookPatch,
    ports::{DeliveryStore, Environment, OrganizationFeed},
    testing::{World, outcome},
};

/// Number of routers.
pub(crate) const ROUTERS: usize = 2;
/// Maximum duration of an attempt.
const ATTEMPT: Duration = Duration::from_secs(17);
/// Number of events in one read.
const READ: u32 = 7;

/// A lease with the deliveries of its holder.
struct Held {
    epoch: u64,
    until: Timestamp,
    deliveries: Deliveries<()>,
    in_flight: Vec<StartedAttempt<()>>,
}

/// An attempt as the receiver sees it.
#[derive(Clone, Debug)]
struct Arrival {
    event: EventId,
    key: OrderingKey,
    replay: bool,
}

/// What happens to a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlushResult {
    Written,
    /// Written, but the router is told of a failure.
    WrittenInSecret,
    NotWritten,
}

/// A webhook, its routers and its receiver.
pub(crate) struct DeliveryRouters {
    pub(crate) world: World,
    pub(crate) webhook: Webhook,
    routers: [Option<Held>; ROUTERS],
    sequences: BTreeMap<SessionId, u64>,
    arrivals: Vec<Arrival>,
    /// Number of acknowledged deliveries of each event, replays excluded.
    acknowledged: BTreeMap<EventId, usize>,
    /// Number of outcomes that lost leases may have forgotten.
    forgotten: usize,
    position: FeedPosition,
}

impl DeliveryRouters {
    pub(crate) async fn new(patch: WebhookPatch) -> Self {
        let world = World::new().await;
        let url = Some("https://shop.example/hook".to_owned());
        let patch = WebhookPatch { url, ..patch };
        let webhook = world.webhooks.create(&World::acme(), patch, None).await.unwrap();
        Self {
            world,
            webhook,
            routers: [None, None],
            sequences: BTreeMap::new(),
            arrivals: Vec::new(),
            acknowledged: BTreeMap::new(),
            forgotten: 0,
            position: FeedPosition::START,
        }
    }

    fn key(&self) -> WebhookKey {
        self.webhook.key()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.world.environment.now()
    }

    /// Stores an event of a session, or of the organization.
    pub(crate) fn append(&mut self, session: Option<u8>) {
        let organization = self.webhook.organization.clone();
        let payload = EventPayload::AuthExpired { reason: ReasonCode::ConnectFailed };
        let actor = &self.webhook.created_by;
        let environment = &*self.world.environment;
        let mut event = Event::of_organization(payload, &organization, actor, environment);
        if let Some(number) = session {
            let session = SessionId::from_bits(u128::from(number) + 1);
            let sequence = self.sequences.entry(session.clone()).or_default();
            *sequence += 1;
            event = Event { session: Some(session), sequence: *sequence, ..event };
        }
        self.world.memory.append_events(&[event]);
    }

    /// Claims the lease for a router.
    pub(crate) async fn claim(&mut self, router: usize) {
        let now = self.now();
        let until = now.plus(LEASE);
        let claim = LeaseClaim { holder: router.to_string(), now, until };
        let claimed = self.world.memory.claim(&claim, &[self.key()]).await.unwrap();
        for one in claimed {
            let Claimed::Held(leased) = one else { continue };
            // A router that claims a lease that it has loses what it did not store.
            self.lose(router);
            let LeasedWebhook { epoch, .. } = *leased;
            let deliveries = Deliveries::new(*leased, now);
            self.routers[router] = Some(Held { epoch, until, deliveries, in_flight: Vec::new() });
        }
    }

    /// Ends a router's lease without a flush, as a crash does.
    pub(crate) fn lose(&mut self, router: usize) {
        if let Some(held) = self.routers[router].take() {
            let forgotten = held.deliveries.at_risk();
            assert!(forgotten <= MAX_AT_RISK);
            self.forgotten += forgotten;
        }
    }

    /// Reads events for the router's queues and its retry queues.
    pub(crate) async fn read(&mut self, router: usize) {
        let (now, organization) = (self.now(), self.webhook.organization.clone());
        let memory = self.world.memory.clone();
        let Some(held) = self.routers[router].as_mut() else { return };
        while let Some(lookup) = held.deliveries.next_lookup(now) {
            let found = memory.events_in(&organization, &lookup.range, lookup.limit).await;
            let found = found.unwrap().iter().map(queued).collect();
            held.deliveries.end_lookup(&lookup, Some(found), now);
        }
        let all = [Capability::Manage].into_iter().collect();
        let rights = FeedRights::of_organization(organization, all).unwrap();
        for pass in [Pass::Live, Pass::Replay] {
            let Some(after) = held.deliveries.scanned(pass) else { continue };
            if !held.deliveries.wants_events(pass, now) {
                continue;
            }
            let newest = FeedPosition::from_number(u64::MAX);
            let until = held.deliveries.replay().filter(|_| pass == Pass::Replay);
            let until = until.map_or(newest, |replay: &Replay| replay.until);
            let page = if held.deliveries.replay().is_some_and(|it| it.dead_only)
                && pass == Pass::Replay
            {
                memory.dead_events(&self.webhook.key(), after, until, READ).await.unwrap()
            } else {
                memory.feed_page(&rights, after, until, READ).await.unwrap().unwrap()
            };
            let last = page.events.last().map_or(after, |last| last.position);
            let end = if page.until == newest { last } else { page.until };
            held.deliveries.take_events(pass, page.events.iter().map(queued).collect(), end);
        }
    }

    /// Begins an attempt, which reaches the receiver at once. Returns whether one began.
    pub(crate) fn start(&mut self, router: usize, kind: AttemptKind) -> bool {
        let now = self.now();
        let policy = self.webhook.settings.retry_policy.attempts;
        let Some(held) = self.routers[router].as_mut() else { return false };
        if held.until < now.plus(MIN_LEASE_FOR_ATTEMPT) {
            return false;
        }
        let Some(attempt) = held.deliveries.start(kind, now) else { return false };
        assert!(attempt.number <= policy, "{attempt:?}");
        let busy = self.routers.iter().flatten().flat_map(|held| &held.in_flight);
        let busy: BTreeSet<_> = busy.map(|one| &one.key).collect();
        assert!(!busy.contains(&attempt.key), "two attempts in flight: {attempt:?}");
        let key = match &attempt.event.session {
            _ if !self.webhook.settings.ordered => OrderingKey::Event(attempt.event.id.clone()),
            Some(session) => OrderingKey::Session(session.clone(), EventStream::Session),
            None => OrderingKey::Organization,
        };
        let (event, replay) = (attempt.event.id.clone(), attempt.replay);
        self.arrivals.push(Arrival { event, key, replay });
        if let Some(held) = self.routers[router].as_mut() {
            held.in_flight.push(attempt);
        }
        true
    }

    /// Ends one of the router's attempts. Returns whether there was one.
    pub(crate) fn finish(&mut self, router: usize, at: usize, result: AttemptOutcome) -> bool {
        let now = self.now();
        let Some(held) = self.routers[router].as_mut() else { return false };
        if held.in_flight.is_empty() {
            return false;
        }
        let attempt = held.in_flight.remove(at % held.in_flight.len());
        if result.is_success() && !attempt.replay {
            *self.acknowledged.entry(attempt.event.id).or_default() += 1;
        }
        let id = AttemptId::from_bits(self.world.environment.ulid());
        held.deliveries.complete(&attempt.key, id, result, now, Jitter::NONE);
        true
    }

    /// Stores the progress of a router, and gives the lease back if it is idle and asked to.
    pub(crate) async fn flush(&mut self, router: usize, result: FlushResult, release: bool) {
        let (now, key) = (self.now(), self.key());
        let memory = self.world.memory.clone();
        let Some(held) = self.routers[router].as_mut() else { return };
        let release = release && held.deliveries.is_idle(now) && held.in_flight.is_empty();
        let lease = if release {
            LeaseChange::Release { now, due: held.deliveries.next_due(now) }
        } else {
            LeaseChange::Renew(now.plus(LEASE))
        };
        let changes = held.deliveries.flush();
        let environment = &*self.world.environment;
        let flush = DeliveryFlush::new(key.clone(), held.epoch, lease, changes, environment);
        if result == FlushResult::NotWritten {
            held.deliveries.flushed(false);
            if release {
                self.lose(router);
            }
            return;
        }
        let written = memory.flush(&[flush]).await.unwrap().contains(&key);
        held.deliveries.flushed(written && result == FlushResult::Written);
        if written && !release {
            held.until = now.plus(LEASE);
        }
        if !written || release {
            // A router that does not know whether it gave the lease back must not use it.
            self.lose(router);
        }
        self.check_position().await;
    }

    /// Reads the webhook again after a change of its owner.
    pub(crate) async fn reload(&mut self, router: usize) {
        let now = self.now();
        let stored = self.world.memory.leased_webhook(&self.key()).await.unwrap().unwrap();
        let Some(held) = self.routers[router].as_mut() else { return };
        if stored.epoch == held.epoch {
            held.deliveries.reload(stored, now);
        } else {
            self.lose(router);
        }
    }

    /// Passes time. Attempts in flight end by their time limit, and leases end.
    pub(crate) fn advance(&mut self, seconds: u64) {
        let total = Duration::from_secs(seconds);
        let first = total.min(ATTEMPT);
        self.world.environment.advance(first);
        for router in 0..ROUTERS {
            while self.finish(router, 0, outcome(OutcomeClass::Timeout, None)) {}
        }
        self.world.environment.advance(total.saturating_sub(first));
        let now = self.now();
        for router in 0..ROUTERS {
            if self.routers[router].as_ref().is_some_and(|held| held.until <= now) {
                self.lose(router);
            }
        }
    }

    async fn check_position(&mut self) {
        let stored = self.world.memory.leased_webhook(&self.key()).await.unwrap().unwrap();
        assert!(stored.progress.position >= self.position, "the position decreased");
        self.position = stored.progress.position;
    }

    /// Delivers everything with a receiver that works.
    pub(crate) async fn settle(&mut self) {
        self.lose(1);
        for round in 0.. {
            assert!(round < 3_000, "deliveries do not end: {:?}", self.stored().await);
            self.claim_if_free().await;
            self.reload(0).await;
            self.read(0).await;
            while self.start(0, AttemptKind::First) || self.start(0, AttemptKind::Repeat) {}
            while self.finish(0, 0, outcome(OutcomeClass::Success, Some(200))) {}
            self.flush(0, FlushResult::Written, false).await;
            if self.is_settled().await {
                return;
            }
            self.advance(u64::from(round % 4 == 0));
        }
    }

    async fn claim_if_free(&mut self) {
        if self.routers[0].is_none() {
            self.claim(0).await;
        }
    }

    async fn stored(&self) -> LeasedWebhook {
        self.world.memory.leased_webhook(&self.key()).await.unwrap().unwrap()
    }

    async fn is_settled(&self) -> bool {
        let stored = self.stored().await;
        let newest = u64::try_from(self.world.memory.events().len()).unwrap();
        stored.retries.is_empty()
            && stored.progress.replay.is_none()
            && stored.progress.position.number() == newest
    }

    /// Checks what holds after every event is settled.
    pub(crate) fn check_laws(&self, dead: &BTreeSet<EventId>) {
        let events = self.world.memory.events();
        for event in &events {
            let copies = self.acknowledged.get(&event.id).copied().unwrap_or(0);
            assert!(copies > 0 || dead.contains(&event.id), "lost: {event:?}");
        }
        let extra: usize = self.acknowledged.values().map(|copies| copies - 1).sum();
        assert!(extra <= self.forgotten, "{extra} copies after {} forgotten", self.forgotten);
        self.check_order(&events);
    }

    /// First arrivals of each key are in the order of the events.
    fn check_order(&self, events: &[Event]) {
        let mut seen = BTreeSet::new();
        let mut last: BTreeMap<&OrderingKey, usize> = BTreeMap::new();
        for arrival in self.arrivals.iter().filter(|arrival| !arrival.replay) {
            if !seen.insert(&arrival.event) {
                continue;
            }
            let at = events.iter().position(|event| event.id == arrival.event).unwrap();
            let before = last.insert(&arrival.key, at);
            assert!(before.is_none_or(|before| before < at), "{arrival:?} is out of order");
        }
    }
}

fn queued(found: &FeedEvent) -> QueuedEvent<()> {
    let FeedEvent { position, event } = found;
    QueuedEvent {
        position: *position,
        id: event.id.clone(),
        name: event.name(),
        session: event.session.clone(),
        sequence: event.sequence,
        length: 100,
        body: (),
    }
}
