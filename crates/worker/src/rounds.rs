//! The rounds of a worker: start due jobs, rest until the next are due.

use std::{error::Error, time::Duration};

use domain::ports::Subscription;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The maximum time between two rounds, because other routers do not notify this worker.
pub(crate) const MAX_REST: Duration = Duration::from_secs(1);
/// The time that jobs in flight get after a stop. Unfinished jobs become due again.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// A worker that starts due jobs in rounds.
pub(crate) trait Rounds: Send + Sync {
    /// Error of a round.
    type Error: Error + 'static;

    /// Starts due jobs. Returns the time until the next round.
    fn start_jobs(
        &self,
        tasks: &TaskTracker,
    ) -> impl Future<Output = Result<Duration, Self::Error>> + Send;
}

/// Runs rounds until `stop` is cancelled, then waits up to 3 s for the jobs in flight.
pub(crate) async fn run_rounds(
    worker: impl Rounds,
    stop: CancellationToken,
    mut work: Box<dyn Subscription>,
) {
    let tasks = TaskTracker::new();
    let mut failing = false;
    while !stop.is_cancelled() {
        let rest = match worker.start_jobs(&tasks).await {
            Ok(rest) => {
                failing = false;
                rest
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(
                        error = &error as &dyn Error,
                        "due work cannot be read; the worker will retry"
                    );
                }
                MAX_REST
            }
        };
        tokio::select! {
            () = work.wait(None, rest) => {}
            () = stop.cancelled() => {}
        }
    }
    tasks.close();
    if tokio::time::timeout(STOP_GRACE, tasks.wait()).await.is_err() {
        tracing::info!(
            left = tasks.len(),
            "worker stopped with jobs in flight; the jobs become due again"
        );
    }
}

/// Counts a job, and logs its error.
pub(crate) fn report<E: Error + 'static>(kind: &'static str, session: &str, result: Result<(), E>) {
    let outcome = if result.is_ok() { "done" } else { "failed" };
    metrics::counter!("berth_worker_jobs_total", "kind" => kind, "outcome" => outcome).increment(1);
    if let Err(error) = result {
        let error = &error as &dyn Error;
        tracing::warn!(session, error, "job failed; the row becomes due again");
    }
}
