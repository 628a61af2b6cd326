//! Claims the leases of webhooks that have work, and runs their tasks.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use domain::{
    Claimed, LEASE, LeaseClaim, LeasedWebhook, Timestamp, WebhookKey,
    ports::{PortError, PortResult, Subscription, Topic},
};
use event_feed::{ChangedOrganizations, OrganizationWatcher};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    DispatcherPorts, Shared,
    candidates::Candidates,
    delivery_task::{DeliveryTask, Signals, TaskEnd},
    directory::{Directory, changes_webhooks},
    flusher::Flusher,
    held_lease::HeldLease,
    permits::Permits,
    task_state::{TaskState, TaskTotals},
};

/// Maximum number of leases of a router.
const MAX_LEASES: usize = 4_096;
/// Maximum number of leases in one claim.
const MAX_CLAIM: usize = 64;
/// Number of webhooks in a page of the directory or of a sweep.
const PAGE: u32 = 500;
/// Time between two looks at due webhooks, and after a failure of the store.
const TICK: Duration = Duration::from_secs(1);
/// Number of ticks between two sweeps over all webhooks: a webhook that selects few events moves
/// its position at least so often, long before retention passes it.
const SWEEP_TICKS: u32 = 3_600;
/// A wait without a limit of its own.
const LONG: Duration = Duration::from_secs(3_600);

/// Delivers the events of all organizations to their webhooks.
pub struct Dispatcher {
    ports: DispatcherPorts,
}

/// A task as the dispatcher knows it.
struct RunningTask {
    id: tokio::task::Id,
    changed: Arc<Notify>,
    state: Arc<TaskState>,
    /// Time at which the last event for the webhook became known, since the start of the task.
    changed_at: Option<Instant>,
}

/// A running dispatcher.
struct Run {
    shared: Arc<Shared>,
    /// Identifies this router as the holder of leases.
    holder: String,
    directory: Directory,
    candidates: Candidates,
    running: HashMap<WebhookKey, RunningTask>,
    /// The last states of webhooks whose tasks ended because new events cannot be delivered now.
    resting: HashMap<WebhookKey, Arc<TaskState>>,
    tasks: JoinSet<TaskEnd>,
    /// The key after which the sweep continues. `None` without a sweep.
    #[expect(clippy::option_option, reason = "the outer option says whether a sweep is running")]
    sweep: Option<Option<WebhookKey>>,
    /// Time before which a failed sweep does not continue.
    sweep_at: Instant,
    ticks: u32,
    stop: CancellationToken,
}

impl Dispatcher {
    /// Creates a dispatcher. It does nothing before [`Self::run`].
    pub fn new(ports: DispatcherPorts) -> Self {
        Self { ports }
    }

    /// Delivers events until `stop`, then waits for the attempts in flight for some seconds and
    /// gives all leases back.
    pub async fn run(self, stop: CancellationToken) {
        let due = self.ports.notifier.clone().subscribe(Topic::WebhookDue);
        // Before the directory is read, so that no change of a webhook falls in between.
        let watcher = self.ports.feed.watch_organizations();
        let (flushes, writer) = Flusher::new(self.ports.store.clone());
        let writer = tokio::spawn(writer.run());
        let holder = format!("{:032x}", self.ports.environment.ulid());
        let shared = Shared {
            ports: self.ports,
            permits: Permits::default(),
            flushes,
            bytes: AtomicUsize::default(),
        };
        let mut run = Run {
            shared: Arc::new(shared),
            holder,
            directory: Directory::default(),
            candidates: Candidates::default(),
            running: HashMap::new(),
            resting: HashMap::new(),
            tasks: JoinSet::new(),
            sweep: None,
            sweep_at: Instant::now(),
            ticks: 0,
            stop,
        };
        run.dispatch(watcher, due).await;
        // The tasks have the same token.
        while run.tasks.join_next().await.is_some() {}
        drop(run);
        let _ = writer.await;
    }
}

impl Run {
    /// Claims leases until the router stops. A stop never drops a claim: without its answer nobody
    /// would give the leases back.
    async fn dispatch(&mut self, mut watcher: OrganizationWatcher, mut due: Box<dyn Subscription>) {
        let stop = self.stop.clone();
        if stop.run_until_cancelled(self.fill_directory()).await.is_none() {
            return;
        }
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let found = self.find_work(&mut watcher, due.as_mut(), &mut tick);
            if stop.run_until_cancelled(found).await.is_none() {
                return;
            }
            self.claim().await;
        }
    }

    /// Waits until webhooks may have work, and makes candidates of them.
    async fn find_work(
        &mut self,
        watcher: &mut OrganizationWatcher,
        due: &mut dyn Subscription,
        tick: &mut Interval,
    ) {
        tokio::select! {
            changed = watcher.next() => self.take_changed(changed).await,
            Some(ended) = self.tasks.join_next() => match ended {
                Ok(end) => self.end_task(end),
                Err(error) => self.end_panicked_task(error.id()),
            },
            () = due.wait(None, LONG) => self.find_due().await,
            _ = tick.tick() => self.tick().await,
            () = std::future::ready(()), if self.has_more() => {}
        }
        self.continue_sweep().await;
    }

    async fn fill_directory(&mut self) {
        let mut after = None;
        loop {
            match self.shared.ports.store.live_webhooks(after.as_ref(), PAGE).await {
                Ok((webhooks, next)) => {
                    for webhook in &webhooks {
                        self.directory.insert(webhook);
                    }
                    after = next;
                    if after.is_none() {
                        return;
                    }
                }
                Err(error) => {
                    report(&error);
                    sleep(TICK).await;
                }
            }
        }
    }

    /// Makes candidates of the webhooks that new events concern.
    async fn take_changed(&mut self, changed: ChangedOrganizations) {
        if changed.any {
            self.sweep = Some(None);
        }
        for (organization, kinds) in changed.organizations {
            if !kinds.iter().any(|kind| changes_webhooks(*kind)) {
                let concerned: Vec<_> = self.directory.concerned(&organization, &kinds).collect();
                for key in concerned {
                    self.add_active(key);
                }
                continue;
            }
            let store = self.shared.ports.store.clone();
            let webhooks = retried(|| store.live_webhooks_of(&organization)).await;
            for key in self.directory.replace(&organization, &webhooks) {
                self.resting.remove(&key);
                self.add_changed(key);
            }
        }
    }

    fn add_active(&mut self, key: WebhookKey) {
        match self.running.get_mut(&key) {
            Some(task) => task.changed_at = Some(Instant::now()),
            None => self.candidates.add_active(key),
        }
    }

    fn add_changed(&mut self, key: WebhookKey) {
        match self.running.get_mut(&key) {
            Some(task) => {
                task.changed_at = Some(Instant::now());
                task.changed.notify_one();
            }
            None => self.candidates.add(key),
        }
    }

    fn end_task(&mut self, end: TaskEnd) {
        let Some(task) = self.running.remove(&end.key) else { return };
        match end.defer_until {
            Some(until) => {
                self.resting.insert(end.key.clone(), task.state);
                self.candidates.defer(end.key, until);
            }
            // Events that the task may not have read.
            None if end.lost || task.changed_at >= Some(end.read_at) => {
                self.candidates.add(end.key);
            }
            None => {}
        }
    }

    /// Forgets a task that panicked. Its lease ends by itself.
    fn end_panicked_task(&mut self, id: tokio::task::Id) {
        let found = self.running.iter().find(|(_, task)| task.id == id);
        if let Some(key) = found.map(|(key, _)| key.clone()) {
            self.running.remove(&key);
            self.candidates.defer(key, self.now().plus(LEASE));
        }
    }

    async fn tick(&mut self) {
        self.ticks += 1;
        if self.ticks.is_multiple_of(SWEEP_TICKS) && self.sweep.is_none() {
            self.sweep = Some(None);
        }
        self.candidates.end_deferrals(self.now());
        self.find_due().await;
        self.report_metrics();
    }

    fn now(&self) -> Timestamp {
        self.shared.ports.environment.now()
    }

    async fn find_due(&mut self) {
        match self.shared.ports.store.due_webhooks(self.now(), PAGE).await {
            Ok(due) => {
                for key in due {
                    self.add_due(key);
                }
            }
            Err(error) => report(&error),
        }
    }

    fn add_due(&mut self, key: WebhookKey) {
        if !self.running.contains_key(&key) {
            self.candidates.add(key);
        }
    }

    /// Takes one page of the sweep, unless claims wait.
    async fn continue_sweep(&mut self) {
        let Some(after) = &self.sweep else { return };
        if !self.candidates.is_empty() || self.sweep_at > Instant::now() {
            return;
        }
        match self.shared.ports.store.behind(after.as_ref(), self.now(), PAGE).await {
            Ok((found, next)) => {
                for key in found {
                    self.add_active(key);
                }
                self.sweep = next.map(Some);
            }
            Err(error) => {
                report(&error);
                self.sweep_at = Instant::now() + TICK;
            }
        }
    }

    async fn claim(&mut self) {
        let room = MAX_LEASES.saturating_sub(self.running.len()).min(MAX_CLAIM);
        let keys = self.candidates.take(room, |key| self.running.contains_key(key));
        if keys.is_empty() {
            return;
        }
        let now = self.now();
        let claim = LeaseClaim { holder: self.holder.clone(), now, until: now.plus(LEASE) };
        let sent = Instant::now();
        match self.shared.ports.store.claim(&claim, &keys).await {
            Ok(claimed) => {
                // Another router may have delivered the events of a webhook that rested here.
                for key in &keys {
                    self.resting.remove(key);
                }
                for one in claimed {
                    match one {
                        Claimed::Held(leased) => self.start(*leased, claim.until, sent),
                        Claimed::Busy(key, until) => self.candidates.defer(key, until),
                    }
                }
            }
            Err(error) => {
                report(&error);
                let later = now.plus(TICK);
                for key in keys {
                    self.candidates.defer(key, later);
                }
            }
        }
    }

    /// Returns whether the sweep or the claims can continue at once.
    fn has_more(&self) -> bool {
        let has_room = self.running.len() < MAX_LEASES;
        if self.candidates.is_empty() {
            self.sweep.is_some() && self.sweep_at <= Instant::now()
        } else {
            has_room
        }
    }

    fn start(&mut self, leased: LeasedWebhook, until: Timestamp, sent: Instant) {
        let (changed, state) = (Arc::<Notify>::default(), Arc::<TaskState>::default());
        let key = leased.webhook.key();
        let lease = HeldLease::new(until, sent);
        let (shared, stop) = (self.shared.clone(), self.stop.clone());
        let signals = Signals { changed: changed.clone(), stop };
        let delivery = DeliveryTask::new(shared, leased, lease, signals, state.clone());
        let id = self.tasks.spawn(delivery.run()).id();
        self.running.insert(key, RunningTask { id, changed, state, changed_at: None });
    }

    fn report_metrics(&self) {
        let mut totals = TaskTotals::default();
        let running = self.running.values().map(|task| &task.state);
        for state in running.chain(self.resting.values()) {
            totals.add(state);
        }
        let gauge = |state, count: u32| {
            metrics::gauge!("berth_webhook_endpoints", "state" => state).set(f64::from(count));
        };
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        gauge("live", count(self.directory.len()));
        gauge("leased", count(self.running.len()));
        gauge("failing", totals.failing);
        gauge("sealed", totals.sealed);
        let lag = totals.oldest.map_or(Duration::ZERO, |oldest| oldest.until(self.now()));
        metrics::gauge!("berth_webhook_lag_seconds_max").set(lag.as_secs_f64());
        metrics::gauge!("berth_webhook_lanes").set(f64::from(totals.retry_queues));
        let in_flight = count(self.shared.permits.in_use());
        metrics::gauge!("berth_webhook_in_flight").set(f64::from(in_flight));
    }
}

fn report(error: &PortError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "webhooks cannot be read; berth will retry"
    );
}

/// Reads until the store answers.
async fn retried<T, F: Future<Output = PortResult<T>>>(read: impl Fn() -> F) -> T {
    loop {
        match read().await {
            Ok(found) => return found,
            Err(error) => report(&error),
        }
        sleep(TICK).await;
    }
}
