//! The task of one leased webhook: reads events, makes attempts and stores the progress, as
//! [`Deliveries`] decides.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use domain::{
    AttemptKind, AttemptOutcome, Deliveries, EventLookup, LeasedWebhook, OrderingKey, Pass,
    QueuedEvent, Timestamp, WebhookKey,
    ports::{PortError, WebhookCredentials},
};
use event_feed::{FeedReader, RenderedEvent};
use tokio::{
    sync::{Notify, oneshot},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Shared, event_source::ReplayRead, flusher::Flushed, held_lease::HeldLease,
    permits::PermitRequest, task_state::TaskState,
};

mod reading;
mod sending;
mod storing;
mod task_event;

/// Time without work after which a lease is given back.
const IDLE: Duration = Duration::from_secs(5);
/// Time after which a failed read, look-up or write is repeated.
const PAUSE: Duration = Duration::from_secs(1);
/// Time after which a webhook whose secrets cannot be opened is looked at again.
const SEALED_PAUSE: Duration = Duration::from_secs(60);
/// Time that attempts in flight get after a stop.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// What tells a task from outside.
pub(crate) struct Signals {
    /// The owner changed the webhook.
    pub(crate) changed: Arc<Notify>,
    /// The router stops.
    pub(crate) stop: CancellationToken,
}

/// The end of a task.
pub(crate) struct TaskEnd {
    pub(crate) key: WebhookKey,
    /// Whether the lease was lost.
    pub(crate) lost: bool,
    /// Time until which new events are no reason for a new claim.
    pub(crate) defer_until: Option<Timestamp>,
    /// Time before which the task has read every event.
    pub(crate) read_at: Instant,
}

/// The task of one leased webhook.
pub(crate) struct DeliveryTask {
    shared: Arc<Shared>,
    signals: Signals,
    state: Arc<TaskState>,
    key: WebhookKey,
    epoch: u64,
    lease: HeldLease,
    deliveries: Deliveries<Bytes>,
    /// What attempts are signed with. `None` before the secrets are opened.
    credentials: Option<Arc<WebhookCredentials>>,
    /// Whether the webhook or its secrets are to be read again, and from which time on.
    reload_at: Option<Instant>,
    /// Time at which a replaced secret stops signing.
    credentials_until: Option<Timestamp>,
    /// Reads new events. `None` before the first read, and after retention passed the position.
    reader: Option<FeedReader>,
    /// Events that were read and wait for a reload.
    held: VecDeque<Arc<RenderedEvent>>,
    /// Time from which failed reads continue.
    read_from: Instant,
    attempts: JoinSet<FinishedAttempt>,
    lookups: JoinSet<FinishedLookup>,
    replay_reads: JoinSet<FinishedReplayRead>,
    permits: [Option<PermitRequest>; 2],
    flush: Option<RunningFlush>,
    /// Time of the next flush.
    flush_at: Option<Instant>,
    /// Number of attempts since old ones were removed.
    unpruned: usize,
    idle_since: Option<Instant>,
    /// Time of the stop of the router.
    stopped_at: Option<Instant>,
    /// Bytes of this webhook in [`Shared::bytes`].
    bytes: usize,
    /// Number of dead letters in the metrics.
    dead: u64,
}

/// An attempt with its outcome.
struct FinishedAttempt {
    key: OrderingKey,
    event: QueuedEvent<Bytes>,
    kind: AttemptKind,
    outcome: AttemptOutcome,
}

/// A look-up with its result.
struct FinishedLookup {
    lookup: EventLookup,
    found: Result<Vec<QueuedEvent<Bytes>>, PortError>,
}

/// A read of a replay.
struct FinishedReplayRead {
    replay: Timestamp,
    read: Result<ReplayRead, PortError>,
}

/// A flush in the queue of the flusher.
struct RunningFlush {
    result: oneshot::Receiver<Flushed>,
    /// The time before which every event was read, if the flush gives the lease back.
    release: Option<Instant>,
    disables: bool,
}

/// Why a task ends.
enum Ending {
    /// The lease was given back.
    Released { read_at: Instant },
    /// Another router has the lease, or the webhook is gone.
    Lost,
}

impl DeliveryTask {
    pub(crate) fn new(
        shared: Arc<Shared>,
        leased: LeasedWebhook,
        lease: HeldLease,
        signals: Signals,
        state: Arc<TaskState>,
    ) -> Self {
        let (key, epoch) = (leased.webhook.key(), leased.epoch);
        let now = shared.ports.environment.now();
        let dead = leased.progress.dead;
        Self {
            deliveries: Deliveries::new(leased, now),
            shared,
            signals,
            state,
            key,
            epoch,
            lease,
            credentials: None,
            reload_at: None,
            credentials_until: None,
            reader: None,
            held: VecDeque::new(),
            read_from: Instant::now(),
            attempts: JoinSet::new(),
            lookups: JoinSet::new(),
            replay_reads: JoinSet::new(),
            permits: [None, None],
            flush: None,
            flush_at: None,
            // The attempts of earlier holders are unknown.
            unpruned: usize::MAX,
            idle_since: None,
            stopped_at: None,
            bytes: 0,
            dead,
        }
    }

    /// Delivers events until there are none, the lease is lost, or the router stops.
    pub(crate) async fn run(mut self) -> TaskEnd {
        self.open_credentials().await;
        let ending = loop {
            if let Some(ending) = self.turn().await {
                break ending;
            }
        };
        let now = self.now();
        let (lost, read_at) = match ending {
            Ending::Lost => (true, Instant::now()),
            Ending::Released { read_at } => (false, read_at),
        };
        let rests = !lost && (self.deliveries.is_failing() || self.deliveries.is_sealed());
        let due = self.due_after_release(now);
        let defer_until = due.filter(|due| rests && *due > now);
        TaskEnd { key: self.key.clone(), lost, defer_until, read_at }
    }

    /// Begins what can begin now, and waits for what happens next.
    async fn turn(&mut self) -> Option<Ending> {
        if self.reload_at.is_some_and(|at| at <= Instant::now())
            && let Some(ending) = self.reload().await
        {
            return Some(ending);
        }
        if self.lease.is_over() {
            self.lose();
            return Some(Ending::Lost);
        }
        let now = self.now();
        self.begin_reads(now);
        self.request_permits(now);
        self.begin_flush(now).await;
        self.account();
        let task_event = self.next_task_event(now).await;
        self.handle(task_event).await
    }

    fn now(&self) -> Timestamp {
        self.shared.ports.environment.now()
    }

    /// Ends all attempts: their outcomes could not be stored.
    fn lose(&mut self) {
        metrics::counter!("berth_webhook_leases_lost_total").increment(1);
        self.attempts.abort_all();
    }

    /// Reads the webhook again, and opens its secrets.
    async fn reload(&mut self) -> Option<Ending> {
        self.reload_at = None;
        match self.shared.ports.store.leased_webhook(&self.key).await {
            Ok(Some(leased)) if leased.epoch == self.epoch => {
                self.deliveries.reload(leased, self.now());
                self.open_credentials().await;
                self.take_held();
                None
            }
            Ok(_) => {
                self.lose();
                Some(Ending::Lost)
            }
            Err(error) => {
                report(&error);
                self.reload_at = Some(Instant::now() + PAUSE);
                None
            }
        }
    }

    /// Reports the bytes of events in memory, and new dead letters.
    fn account(&mut self) {
        let dead = self.deliveries.progress().dead;
        let new = dead - std::mem::replace(&mut self.dead, dead);
        metrics::counter!("berth_webhook_dead_total").increment(new);
        let bytes = self.deliveries.bytes();
        let shared = &self.shared.bytes;
        if bytes >= self.bytes {
            shared.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            shared.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    fn is_stopping(&self) -> bool {
        self.stopped_at.is_some()
    }

    /// Returns whether no work is left, so that the lease can be given back.
    fn is_idle(&self, now: Timestamp) -> bool {
        self.deliveries.is_idle(now)
            && self.held.is_empty()
            && self.reload_at.is_none()
            && self.lookups.is_empty()
            && self.replay_reads.is_empty()
            && self.flush.is_none()
    }

    fn wants_events(&self, pass: Pass, now: Timestamp) -> bool {
        // Without room for all, a webhook reads when it has no events left.
        let has_room =
            self.bytes == 0 || self.shared.bytes.load(Ordering::Relaxed) < MAX_READ_AHEAD;
        has_room
            && !self.is_stopping()
            && self.held.is_empty()
            && self.reload_at.is_none()
            && self.read_from <= Instant::now()
            && self.deliveries.wants_events(pass, now)
    }
}

/// Maximum number of bytes of events of all webhooks in memory, before no more are read.
const MAX_READ_AHEAD: usize = 64 << 20;

impl Drop for DeliveryTask {
    fn drop(&mut self) {
        self.shared.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn report(error: &PortError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "deliveries cannot be read; berth will retry"
    );
}
