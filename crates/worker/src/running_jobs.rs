//! [`RunningJobs`]: at most one job of a session runs in this process, and a job that becomes due
//! again while it runs is repeated by itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::SessionId;

/// The sessions whose jobs run, each with whether it has become due again.
#[derive(Clone, Default)]
pub(crate) struct RunningJobs(Arc<Mutex<HashMap<SessionId, bool>>>);

/// A job that runs.
pub(crate) struct RunningJob {
    jobs: RunningJobs,
    session: SessionId,
    /// Whether another job of the session can run.
    has_ended: bool,
}

impl RunningJobs {
    /// Starts the job of a session. `None` if it runs: it will be repeated.
    pub(crate) fn start(&self, session: &SessionId) -> Option<RunningJob> {
        let mut jobs = self.lock();
        if let Some(is_due_again) = jobs.get_mut(session) {
            *is_due_again = true;
            return None;
        }
        jobs.insert(session.clone(), false);
        Some(RunningJob { jobs: self.clone(), session: session.clone(), has_ended: false })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningJob {
    /// Ends the job. Returns it if it has become due again.
    pub(crate) fn end(mut self) -> Option<Self> {
        let mut jobs = self.jobs.lock();
        let is_due_again = jobs.get_mut(&self.session).is_some_and(std::mem::take);
        if !is_due_again {
            jobs.remove(&self.session);
        }
        drop(jobs);
        self.has_ended = !is_due_again;
        is_due_again.then_some(self)
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        if !self.has_ended {
            self.jobs.lock().remove(&self.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_that_is_due_while_it_runs_is_repeated_once() {
        let jobs = RunningJobs::default();
        let [one, other] = [1, 2].map(SessionId::from_bits);
        let job = jobs.start(&one).unwrap();
        assert!(jobs.start(&one).is_none());
        assert!(jobs.start(&one).is_none());
        assert!(jobs.start(&other).is_some());
        let job = job.end().unwrap();
        assert!(job.end().is_none());
    }

    #[test]
    fn job_that_ended_or_stopped_can_start_again() {
        let jobs = RunningJobs::default();
        let session = SessionId::from_bits(1);
        assert!(jobs.start(&session).unwrap().end().is_none());
        drop(jobs.start(&session).unwrap());
        assert!(jobs.start(&session).unwrap().end().is_none());
        assert!(jobs.lock().is_empty());
    }
}
