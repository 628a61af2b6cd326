//! [`OutboxDispatcher`]: hands messages that wait to the nodes of their sessions.

use std::{sync::Arc, time::Duration};

use domain::{
    Error, Outbox, Result,
    ports::{Claim, DueOutbox, Environment, Notification, Notifier, Topic},
};
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    job_counts::JobCounts,
    rounds::{MAX_REST, Rounds, report, run_rounds},
    running_jobs::{RunningJob, RunningJobs},
};

/// Maximum number of sessions whose messages are handed over at a time.
const MAX_JOBS: usize = 64;
/// The same for the sessions of one organization.
const MAX_JOBS_PER_ORGANIZATION: u32 = 32;
/// The duration of a claim; longer than all calls of one job together.
const CLAIM: Duration = Duration::from_secs(60);
/// Maximum number of dispatches of one job.
const MAX_DISPATCHES: u32 = 8;
/// The first and the last rest before a dispatch is repeated that failed; it doubles each time.
const FIRST_REST: Duration = Duration::from_secs(1);
const LAST_REST: Duration = Duration::from_secs(8);

/// Hands messages that wait to nodes. Clones share their state.
#[derive(Clone)]
pub struct OutboxDispatcher {
    outbox: Outbox,
    environment: Arc<dyn Environment>,
    notifier: Arc<dyn Notifier>,
    job_permits: Arc<Semaphore>,
    job_counts: JobCounts,
    running: RunningJobs,
}

impl OutboxDispatcher {
    /// Creates a dispatcher. It does nothing before [`Self::run`] or [`Self::round`].
    pub fn new(
        outbox: Outbox,
        environment: Arc<dyn Environment>,
        notifier: Arc<dyn Notifier>,
    ) -> Self {
        let job_permits = Arc::new(Semaphore::new(MAX_JOBS));
        Self {
            outbox,
            environment,
            notifier,
            job_permits,
            job_counts: JobCounts::default(),
            running: RunningJobs::default(),
        }
    }

    /// Runs until `stop` is cancelled, then waits up to 3 s for the jobs in flight.
    pub async fn run(self, stop: CancellationToken) {
        let work = self.notifier.clone().subscribe(Topic::OutboxDue);
        run_rounds(self, stop, work).await;
    }

    /// Performs one round: claims due sessions and completes their jobs. Returns the number of jobs.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn round(&self) -> Result<usize> {
        let due = self.claim(MAX_JOBS).await?;
        let count = due.len();
        join_all(due.iter().map(|due| self.perform(due))).await;
        Ok(count)
    }

    /// Starts jobs for due sessions while permits are left. Returns the time until the next round.
    async fn start_due_jobs(&self, tasks: &TaskTracker) -> Result<Duration> {
        let due = self.claim(self.job_permits.available_permits()).await?;
        let claimed_none = due.is_empty();
        for due in due {
            let Ok(permit) = Arc::clone(&self.job_permits).acquire_owned().await else { break };
            let Some(job) = self.running.start(&due.session) else { continue };
            let counted = self.job_counts.start(&due.organization);
            let this = self.clone();
            tasks.spawn(async move {
                this.perform_until_done(&due, job).await;
                drop((permit, counted));
                // More sessions may be due than there were permits.
                this.notifier.notify(Notification::OutboxDue);
            });
        }
        if self.job_permits.available_permits() == 0 {
            return Ok(MAX_REST);
        }
        let (next, now) = (self.outbox.next_due().await?, self.environment.now());
        if claimed_none && next.is_some_and(|due| due <= now) {
            // The sessions belong to organizations that have the maximum number of jobs.
            return Ok(MAX_REST);
        }
        Ok(next.map_or(MAX_REST, |due| now.until(due).clamp(Duration::from_millis(1), MAX_REST)))
    }

    async fn claim(&self, limit: usize) -> Result<Vec<DueOutbox>> {
        let Some(limit) = u32::try_from(limit).ok().filter(|limit| *limit > 0) else {
            return Ok(Vec::new());
        };
        let now = self.environment.now();
        let claim = Claim {
            organization_limit: MAX_JOBS_PER_ORGANIZATION,
            in_flight: self.job_counts.all(),
            ..Claim::new(now, now.plus(CLAIM), limit)
        };
        self.outbox.claim(&claim).await
    }

    /// Dispatches, and again while the session becomes due meanwhile; after some dispatches, the session
    /// waits for its turn among the others.
    async fn perform_until_done(&self, due: &DueOutbox, mut job: RunningJob) {
        for _ in 0..MAX_DISPATCHES {
            self.perform(due).await;
            match job.end() {
                Some(again) => job = again,
                None => return,
            }
        }
        drop(job);
        if let Err(error) = self.outbox.release(due).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "an outbox is dispatched again when its claim ends");
        }
    }

    /// Dispatches, and again after a failure of the store: the claim ends much later.
    async fn perform(&self, due: &DueOutbox) {
        let mut rest = FIRST_REST;
        loop {
            let result = self.outbox.dispatch(&due.session).await;
            let is_repeated = matches!(result, Err(Error::Unavailable { .. })) && rest <= LAST_REST;
            report("outbox", due.session.as_str(), result);
            if !is_repeated {
                return;
            }
            tokio::time::sleep(rest).await;
            rest *= 2;
        }
    }
}

impl Rounds for OutboxDispatcher {
    type Error = Error;

    async fn start_jobs(&self, tasks: &TaskTracker) -> Result<Duration> {
        self.start_due_jobs(tasks).await
    }
}
