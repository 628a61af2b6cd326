//! What time and wishes ask for: sessions are reconciled, deleted ones retired, nodes watched, and
//! what has ended is removed some time later.
//!
//! The worker takes no input but the state: it claims what is due, carries out the one step the
//! domain's [plan](domain::reconcile::plan) names, and looks again. A claim is a loan: whatever is not
//! settled when the worker dies falls due again, here or at another router.

mod cleanups;
mod nodes;
mod retention;
mod room;
mod sessions;
mod shares;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::{
    Cleanup, Deadlines, Leases, OrganizationId, Session, Timestamp,
    ports::{
        ChangeNotifier, Claim, Environment, NodeStore, Notifier, OrganizationTags, PortResult,
        SessionControl, WorkerStore,
    },
};
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{room::Room, shares::Shares};

/// What the worker needs of the world.
#[derive(Clone)]
pub struct Ports {
    /// What is due.
    pub worker_store: Arc<dyn WorkerStore>,
    /// Where sessions can be.
    pub nodes: Arc<dyn NodeStore>,
    /// How nodes are told.
    pub gateway: Arc<dyn SessionControl>,
    /// Time and new names.
    pub environment: Arc<dyn Environment>,
    /// Rung when there is work.
    pub work: Arc<dyn Notifier>,
    /// To be rung when a session changed.
    pub change_notifier: Arc<dyn ChangeNotifier>,
    /// Refreshed with every look at the nodes, for reads of sessions.
    pub leases: Arc<Leases>,
    /// Names organizations to nodes.
    pub groups: Arc<dyn OrganizationTags>,
}

/// Does what is due. Clones share everything.
#[derive(Clone)]
pub struct Worker {
    ports: Ports,
    deadlines: Deadlines,
    places: Arc<Semaphore>,
    shares: Shares,
    room: Arc<Room>,
    /// When it was last looked for what has ended.
    swept_at: Arc<Mutex<Option<Timestamp>>>,
}

/// How many jobs are under way at once.
const AT_ONCE: usize = 80;
/// How many jobs of one organization: enough to hide a node's latency, few enough that a thousand sessions
/// starting together come up as a stream rather than a storm, and that others find a place at any time.
const SHARE: u32 = 40;
/// How many of them are sessions: deleted ones must not wait for slow ones.
const SESSIONS: u32 = 32;
/// For how long a claim lasts: longer than every call of one turn may take together.
const CLAIM: Duration = Duration::from_secs(30);
/// How long the worker rests at most: other routers' bells do not ring here.
const REST: Duration = Duration::from_secs(1);
/// How long running work may go on after the stop; what it leaves falls due again.
const GRACE: Duration = Duration::from_secs(3);

/// Something claimed.
enum Job {
    Session(Box<Session>),
    Cleanup(Box<Cleanup>),
}

impl Job {
    /// Whose it is.
    fn organization(&self) -> &OrganizationId {
        match self {
            Self::Session(session) => &session.organization,
            Self::Cleanup(cleanup) => &cleanup.organization,
        }
    }
}

impl Worker {
    /// A worker over these ports.
    pub fn new(ports: Ports, deadlines: Deadlines) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let (shares, room) = (Shares::default(), Arc::default());
        Self { ports, deadlines, places, shares, room, swept_at: Arc::default() }
    }

    /// Works until stopped, then lets what is under way finish for a moment.
    pub async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let mut failing = false;
        while !stop.is_cancelled() {
            let rest = match self.begin(&tasks).await {
                Ok(rest) => {
                    failing = false;
                    rest
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "cannot see the backlog"
                        );
                    }
                    REST
                }
            };
            tokio::select! {
                () = self.ports.work.wait(rest) => {}
                () = stop.cancelled() => {}
            }
        }
        tasks.close();
        if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
            tracing::info!(left = tasks.len(), "stopped with work under way; it falls due again");
        }
    }

    /// One round, to its end: everything that is due now. Answers how much there was.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn round(&self) -> PortResult<usize> {
        self.watch_nodes().await?;
        self.sweep().await?;
        let jobs = self.claim(AT_ONCE).await?;
        let count = jobs.len();
        join_all(jobs.into_iter().map(|job| self.work_on(job))).await;
        Ok(count)
    }

    /// Begins what is due, as far as there is room, and says how long to rest.
    async fn begin(&self, tasks: &TaskTracker) -> PortResult<Duration> {
        self.watch_nodes().await?;
        self.sweep().await?;
        let jobs = self.claim(self.places.available_permits()).await?;
        let took_nothing = jobs.is_empty();
        for job in jobs {
            let Ok(permit) = Arc::clone(&self.places).acquire_owned().await else { break };
            let under_way = self.shares.begin(job.organization());
            let this = self.clone();
            tasks.spawn(async move {
                this.work_on(job).await;
                drop((permit, under_way));
                // There may be more that is due than there was room.
                this.ports.work.notify();
            });
        }
        if self.places.available_permits() == 0 {
            return Ok(REST);
        }
        let next = self.ports.worker_store.next_due().await?;
        let now = self.ports.environment.now();
        if took_nothing && next.is_some_and(|due| due <= now) {
            // Of organizations that have all they may have: the end of a job rings.
            return Ok(REST);
        }
        Ok(next.map_or(REST, |due| now.until(due).clamp(Duration::from_millis(1), REST)))
    }

    async fn claim(&self, room: usize) -> PortResult<Vec<Job>> {
        let now = self.ports.environment.now();
        let until = now.plus(CLAIM);
        // Half the room is for each, so that neither keeps the other waiting.
        let half = u32::try_from(room.div_ceil(2)).unwrap_or(u32::MAX);
        if room == 0 {
            return Ok(Vec::new());
        }
        let share_of_sessions = Claim {
            organization_limit: SESSIONS,
            in_flight: self.shares.all(),
            ..Claim::new(now, until, half)
        };
        let sessions = self.ports.worker_store.claim_sessions(&share_of_sessions).await?;
        let left = u32::try_from(room.saturating_sub(sessions.len())).unwrap_or(u32::MAX);
        let cleanups = if left == 0 {
            Vec::new()
        } else {
            let mut in_flight = self.shares.all();
            for session in &sessions {
                *in_flight.entry(session.organization.clone()).or_default() += 1;
            }
            let claim = Claim {
                organization_limit: SHARE,
                in_flight,
                ..Claim::new(now, until, left.min(half))
            };
            self.ports.worker_store.claim_cleanups(&claim).await?
        };
        let sessions = sessions.into_iter().map(|session| Job::Session(Box::new(session)));
        let cleanups = cleanups.into_iter().map(|r| Job::Cleanup(Box::new(r)));
        Ok(sessions.chain(cleanups).collect())
    }

    async fn work_on(&self, job: Job) {
        let (kind, id, result) = match job {
            Job::Session(session) => {
                ("session", session.id.clone(), self.reconcile(*session).await)
            }
            Job::Cleanup(cleanup) => {
                ("retirement", cleanup.session.clone(), self.clean_up(*cleanup).await)
            }
        };
        let outcome = if result.is_ok() { "done" } else { "failed" };
        metrics::counter!("berth_worker_jobs_total", "kind" => kind, "outcome" => outcome)
            .increment(1);
        if let Err(error) = result {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(session = %id, error, "left undone; it falls due again");
        }
    }
}
