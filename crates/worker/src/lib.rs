//! The background workers of a router. [`Worker`] reconciles sessions, cleans up deleted sessions,
//! detects lost nodes, and removes expired rows; [`OutboxDispatcher`] hands messages to nodes;
//! [`MessageRemover`] removes messages.
//!
//! The worker's only input is the stored state. It claims due rows, performs the step that the
//! domain's [plan](domain::reconcile::plan) returns, and reads the state again. A claim is
//! temporary: a row that is not settled when the worker stops becomes due again, on this or another
//! router.

mod cleanups;
mod job_counts;
mod message_removal;
mod node_capacity;
mod nodes;
mod outbox;
mod retention;
mod rounds;
mod running_jobs;
mod sessions;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::{
    Cleanup, Deadlines, Leases, OrganizationId, Session, Timestamp,
    ports::{
        Claim, Environment, NodeStore, Notification, Notifier, OrganizationTags, PortError,
        PortResult, SessionControl, Topic, WorkerStore,
    },
};
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    job_counts::JobCounts,
    node_capacity::NodeCapacity,
    rounds::{MAX_REST, Rounds, report, run_rounds},
};
pub use self::{message_removal::MessageRemover, outbox::OutboxDispatcher};

/// The ports that the worker uses.
#[derive(Clone)]
pub struct Ports {
    /// Claims and writes due sessions and cleanups.
    pub worker_store: Arc<dyn WorkerStore>,
    /// Lists nodes and marks nodes as lost.
    pub nodes: Arc<dyn NodeStore>,
    /// Sends commands to nodes.
    pub gateway: Arc<dyn SessionControl>,
    /// The clock and the source of new ids.
    pub environment: Arc<dyn Environment>,
    /// Wakes the worker when rows become due on this router, and the requests that wait for a
    /// session.
    pub notifier: Arc<dyn Notifier>,
    /// The known leases of nodes. The worker refreshes them in each round; reads of sessions use
    /// them.
    pub leases: Arc<Leases>,
    /// Creates the tags by which nodes group sessions of one organization.
    pub organization_tags: Arc<dyn OrganizationTags>,
}

/// The background worker of a router. Clones share their state.
#[derive(Clone)]
pub struct Worker {
    ports: Ports,
    deadlines: Deadlines,
    job_permits: Arc<Semaphore>,
    job_counts: JobCounts,
    capacity: Arc<NodeCapacity>,
    /// The time of the last complete sweep of expired rows; `None` when a sweep is due.
    swept_at: Arc<Mutex<Option<Timestamp>>>,
}

/// Maximum jobs in flight.
const MAX_JOBS: usize = 80;
/// Maximum jobs in flight of one organization. High enough to hide a node's latency; low enough to
/// spread the start of a thousand sessions over time, and to leave permits for other organizations.
const MAX_JOBS_PER_ORGANIZATION: u32 = 40;
/// Maximum session jobs in flight of one organization, so that cleanups do not wait for slow
/// sessions.
const MAX_SESSION_JOBS_PER_ORGANIZATION: u32 = 32;
/// The duration of a claim; longer than all calls of one job together.
const CLAIM: Duration = Duration::from_secs(30);

/// A claimed row.
enum Job {
    Session(Box<Session>),
    Cleanup(Box<Cleanup>),
}

impl Job {
    fn organization(&self) -> &OrganizationId {
        match self {
            Self::Session(session) => &session.organization,
            Self::Cleanup(cleanup) => &cleanup.organization,
        }
    }
}

impl Worker {
    /// Creates a worker. The worker does nothing before [`Self::run`] or [`Self::round`].
    pub fn new(ports: Ports, deadlines: Deadlines) -> Self {
        let job_permits = Arc::new(Semaphore::new(MAX_JOBS));
        let (job_counts, capacity) = (JobCounts::default(), Arc::default());
        Self { ports, deadlines, job_permits, job_counts, capacity, swept_at: Arc::default() }
    }

    /// Runs until `stop` is cancelled, then waits up to 3 s for the jobs in flight.
    pub async fn run(self, stop: CancellationToken) {
        let work = self.ports.notifier.clone().subscribe(Topic::WorkDue);
        run_rounds(self, stop, work).await;
    }

    /// Performs one round: claims due rows and completes their jobs. Returns the number of jobs.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn round(&self) -> PortResult<usize> {
        self.check_nodes().await?;
        self.sweep().await?;
        let jobs = self.claim(MAX_JOBS).await?;
        let count = jobs.len();
        join_all(jobs.into_iter().map(|job| self.perform(job))).await;
        Ok(count)
    }

    /// Starts jobs for due rows while permits are left. Returns the time until the next round.
    async fn start_due_jobs(&self, tasks: &TaskTracker) -> PortResult<Duration> {
        self.check_nodes().await?;
        self.sweep().await?;
        let jobs = self.claim(self.job_permits.available_permits()).await?;
        let claimed_none = jobs.is_empty();
        for job in jobs {
            let Ok(permit) = Arc::clone(&self.job_permits).acquire_owned().await else { break };
            let counted = self.job_counts.start(job.organization());
            let this = self.clone();
            tasks.spawn(async move {
                this.perform(job).await;
                drop((permit, counted));
                // More rows may be due than there were permits.
                this.ports.notifier.notify(Notification::WorkDue);
            });
        }
        if self.job_permits.available_permits() == 0 {
            return Ok(MAX_REST);
        }
        let next = self.ports.worker_store.next_due().await?;
        let now = self.ports.environment.now();
        if claimed_none && next.is_some_and(|due| due <= now) {
            // The due rows belong to organizations that have the maximum number of jobs. The end of
            // a job notifies the worker.
            return Ok(MAX_REST);
        }
        Ok(next.map_or(MAX_REST, |due| now.until(due).clamp(Duration::from_millis(1), MAX_REST)))
    }

    /// Claims at most `limit` rows.
    async fn claim(&self, limit: usize) -> PortResult<Vec<Job>> {
        let now = self.ports.environment.now();
        let until = now.plus(CLAIM);
        // Sessions and cleanups get half of the permits each, so that neither delays the other.
        let half = u32::try_from(limit.div_ceil(2)).unwrap_or(u32::MAX);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let claim = Claim {
            organization_limit: MAX_SESSION_JOBS_PER_ORGANIZATION,
            in_flight: self.job_counts.all(),
            ..Claim::new(now, until, half)
        };
        let sessions = self.ports.worker_store.claim_sessions(&claim).await?;
        let left = u32::try_from(limit.saturating_sub(sessions.len())).unwrap_or(u32::MAX);
        let cleanups = if left == 0 {
            Vec::new()
        } else {
            let mut in_flight = self.job_counts.all();
            for session in &sessions {
                *in_flight.entry(session.organization.clone()).or_default() += 1;
            }
            let organization_limit = MAX_JOBS_PER_ORGANIZATION;
            let claim =
                Claim { organization_limit, in_flight, ..Claim::new(now, until, left.min(half)) };
            self.ports.worker_store.claim_cleanups(&claim).await?
        };
        let sessions = sessions.into_iter().map(|session| Job::Session(Box::new(session)));
        let cleanups = cleanups.into_iter().map(|cleanup| Job::Cleanup(Box::new(cleanup)));
        Ok(sessions.chain(cleanups).collect())
    }

    async fn perform(&self, job: Job) {
        let (kind, id, result) = match job {
            Job::Session(session) => {
                ("session", session.id.clone(), self.reconcile(*session).await)
            }
            Job::Cleanup(cleanup) => {
                ("retirement", cleanup.session.clone(), self.clean_up(*cleanup).await)
            }
        };
        report(kind, id.as_str(), result);
    }
}

impl Rounds for Worker {
    type Error = PortError;

    async fn start_jobs(&self, tasks: &TaskTracker) -> PortResult<Duration> {
        self.start_due_jobs(tasks).await
    }
}
