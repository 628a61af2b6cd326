//! Reconciles sessions: performs the planned steps of a session until the plan says to rest.

use std::error::Error;

use domain::{
    Change, Declaration, LogoutOutcome, Node, Result, Session, SessionId, ShareLink, Snapshot,
    SystemCommit, back_off,
    commit::{CommitTarget, Decision, commit_once, execute},
    commit_with_links, links_to_end,
    ports::{GatewayError, Notification, SystemWrite, Written},
    reconcile::{NodeLiveness, Step, plan},
};

use crate::Worker;

/// The maximum number of steps in one job. A session that needs more becomes due again.
const MAX_STEPS: usize = 12;

/// The result of one step.
enum Progress {
    /// Plan the next step for the current session.
    Continue(Box<Session>),
    /// The job ends: the session is settled, postponed, or deleted meanwhile.
    Done,
}

impl Worker {
    /// Performs up to [`MAX_STEPS`] steps of a session.
    pub(crate) async fn reconcile(&self, mut session: Session) -> Result<()> {
        for _ in 0..MAX_STEPS {
            let node = match &session.gateway {
                Some(id) => self.ports.nodes.find(id).await?,
                None => None,
            };
            let now = self.ports.environment.now();
            let liveness = match session.gateway {
                Some(_) => NodeLiveness::of(node.as_ref(), now, &self.deadlines),
                None => NodeLiveness::Unassigned,
            };
            let step = plan(&session, liveness, now);
            tracing::debug!(session = %session.id, ?step, "next step");
            session = match self.perform_step(step, session, node).await? {
                Progress::Continue(session) => *session,
                Progress::Done => return Ok(()),
            };
        }
        Ok(())
    }

    async fn perform_step(
        &self,
        step: Step,
        session: Session,
        node: Option<Node>,
    ) -> Result<Progress> {
        let now = self.ports.environment.now();
        match (step, node) {
            (Step::Rest(until), _) => {
                let (id, expected_version) = (&session.id, session.expected_version());
                let written =
                    self.ports.worker_store.reschedule(id, expected_version, until, 0).await?;
                self.done_unless_raced(written, id).await
            }
            (Step::AssignNode, _) => self.assign_node(session).await,
            (Step::NothingToUnlink, _) => {
                self.record_unlink(&session.id, LogoutOutcome::NotLinked, None).await
            }
            (Step::MarkNodeLost, _) => self.write(session.mark_node_lost(now)).await,
            (Step::Expire, _) => self.write(session.expire(now)).await,
            (Step::Retry, _) => self.write(session.retry(now, &self.deadlines)).await,
            (Step::Declare, Some(node)) => self.declare(session, &node).await,
            (Step::Unlink, Some(node)) => self.unlink(session, &node).await,
            (Step::GiveUpUnlink, Some(node)) => self.give_up_unlink(session, &node).await,
            // The plan returns these steps only for a session that has a node.
            (Step::Declare | Step::Unlink | Step::GiveUpUnlink, None) => {
                self.postpone_session(session).await
            }
        }
    }

    async fn assign_node(&self, session: Session) -> Result<Progress> {
        let now = self.ports.environment.now();
        let nodes = self.ports.nodes.list().await?;
        if let Some(node) = self.capacity.choose(&nodes, now, self.deadlines.lease) {
            return self.write(session.assign_node(node, now)).await;
        }
        // `wake_waiting` makes the session due when a node has capacity, so no retry is scheduled.
        let (id, expected_version, rest) =
            (&session.id, session.expected_version(), session.rest_until());
        let written = self.ports.worker_store.reschedule(id, expected_version, rest, 0).await?;
        self.done_unless_raced(written, id).await
    }

    async fn declare(&self, session: Session, node: &Node) -> Result<Progress> {
        let group = Some(self.ports.organization_tags.tag(&session.organization));
        let declaration = Declaration { group, ..session.declaration() };
        let answer = self.ports.gateway.declare(node, &session.id, &declaration).await;
        let now = self.ports.environment.now();
        let due = now.plus(back_off(session.failures));
        match answer {
            Ok(snapshot) => {
                let links = self.links_to_end(&session, &snapshot).await?;
                if let Some(change) = session.clone().observe_answer(snapshot, now, &self.deadlines)
                {
                    return self.write_with_links(change, links).await.map(done_if_settled);
                }
                let (id, rest) = (&session.id, session.rest_until());
                let written = self
                    .ports
                    .worker_store
                    .reschedule(id, session.expected_version(), rest, 0)
                    .await?;
                self.done_unless_raced(written, id).await
            }
            Err(GatewayError::Stale) => {
                self.write(session.advance_epoch(due)).await.map(|_| Progress::Done)
            }
            Err(GatewayError::Full) if !session.is_paired() => {
                self.capacity.mark_full(node);
                self.write(session.unassign_node()).await.map(|_| Progress::Done)
            }
            Err(error) => {
                log_failure(&session, node, &error);
                self.postpone_session(session).await
            }
        }
    }

    async fn unlink(&self, session: Session, node: &Node) -> Result<Progress> {
        let (epoch, deadline) = (session.spec.epoch, self.deadlines.logout);
        let linked = session.is_paired();
        match self.ports.gateway.logout(node, &session.id, epoch, linked, deadline).await {
            Ok((LogoutOutcome::Unconfirmed, observed)) => self.unconfirmed(session, observed).await,
            Ok((outcome, last)) => self.record_unlink(&session.id, outcome, Some(last)).await,
            Err(GatewayError::Stale) => {
                let due = self.ports.environment.now().plus(back_off(session.failures));
                self.write(session.advance_epoch(due)).await.map(|_| Progress::Done)
            }
            Err(error) => {
                log_failure(&session, node, &error);
                self.postpone_session(session).await
            }
        }
    }

    /// Stores the observed state, which shows why the unlink takes long, and retries later.
    async fn unconfirmed(&self, session: Session, observed: Snapshot) -> Result<Progress> {
        let now = self.ports.environment.now();
        let links = self.links_to_end(&session, &observed).await?;
        let Some(change) = session.clone().observe(observed, now, &self.deadlines) else {
            return self.postpone_session(session).await;
        };
        match self.write_with_links(change, links).await? {
            Progress::Continue(session) => self.postpone_session(*session).await,
            Progress::Done => Ok(Progress::Done),
        }
    }

    async fn give_up_unlink(&self, session: Session, node: &Node) -> Result<Progress> {
        match self.ports.gateway.forget(node, &session.id, session.spec.epoch, true).await {
            Ok(()) => {
                tracing::warn!(
                    session = %session.id,
                    "WhatsApp did not confirm the unlink in time; the keys are wiped"
                );
                self.record_unlink(&session.id, LogoutOutcome::Unconfirmed, None).await
            }
            Err(error) => {
                log_failure(&session, node, &error);
                self.postpone_session(session).await
            }
        }
    }

    /// Records that a device is unlinked. Retries after concurrent writes, because a lost race must
    /// not lose the outcome.
    async fn record_unlink(
        &self,
        id: &SessionId,
        outcome: LogoutOutcome,
        last: Option<Snapshot>,
    ) -> Result<Progress> {
        let decide = |session: Option<Session>| {
            let Some(session) = session else { return Ok(Decision::Keep(Progress::Done)) };
            let now = self.ports.environment.now();
            Ok(match session.clone().complete_unlink(outcome, last.as_ref(), now) {
                None => Decision::Keep(Progress::Continue(Box::new(session))),
                Some(change) => {
                    let (commit, next) = self.commit_of(change, Vec::new());
                    Decision::Write(commit, next)
                }
            })
        };
        execute(self, || self.find(id), decide).await
    }

    /// Schedules a retry with an increasing delay.
    async fn postpone_session(&self, session: Session) -> Result<Progress> {
        let now = self.ports.environment.now();
        let due = now.plus(back_off(session.failures));
        // A deadline of the session may come before the retry.
        let deadline = session.rest_until().filter(|rest| *rest > now);
        let due = deadline.map_or(due, |deadline| deadline.min(due));
        let (id, expected_version, failures) =
            (&session.id, session.expected_version(), session.failures + 1);
        let written =
            self.ports.worker_store.reschedule(id, expected_version, Some(due), failures).await?;
        self.done_unless_raced(written, &session.id).await
    }

    /// Returns the share links that an answer of the node ends.
    async fn links_to_end(&self, session: &Session, answer: &Snapshot) -> Result<Vec<ShareLink>> {
        let is_linked = answer.identity.is_some();
        Ok(links_to_end(&*self.ports.worker_store, session, is_linked).await?)
    }

    /// Writes a change of a session as read. After a lost race, continues with the current session.
    async fn write(&self, change: Change) -> Result<Progress> {
        self.write_with_links(change, Vec::new()).await
    }

    /// Writes a change of a session as read, and ends its share links if the change links a device.
    async fn write_with_links(&self, change: Change, links: Vec<ShareLink>) -> Result<Progress> {
        let id = change.session.id.clone();
        let (commit, next) = self.commit_of(change, links);
        match commit_once(self, &commit).await? {
            Written::Done => Ok(next),
            Written::Raced => self.reload(&id).await,
        }
    }

    /// Returns the commit of a change, and the progress after the commit.
    fn commit_of(
        &self,
        change: Change,
        links: Vec<ShareLink>,
    ) -> (SystemCommit<SystemWrite>, Progress) {
        let commit = commit_with_links(change, links, &*self.ports.environment);
        let next = commit.change.updated().cloned().map(Box::new);
        let next = next.map_or(Progress::Done, Progress::Continue);
        (commit, next)
    }

    async fn done_unless_raced(&self, written: Written, id: &SessionId) -> Result<Progress> {
        match written {
            Written::Done => Ok(Progress::Done),
            Written::Raced => self.reload(id).await,
        }
    }

    /// Continues with the current session; the job is done when the session is deleted.
    async fn reload(&self, id: &SessionId) -> Result<Progress> {
        let session = self.find(id).await?;
        Ok(session.map_or(Progress::Done, |session| Progress::Continue(Box::new(session))))
    }

    async fn find(&self, id: &SessionId) -> Result<Option<Session>> {
        Ok(self.ports.worker_store.find(id).await?)
    }
}

/// System transitions and cleanups. The worker itself needs no notification: the end of a job wakes
/// it.
impl CommitTarget for Worker {
    type Commit = SystemCommit<SystemWrite>;

    async fn write(&self, commit: &SystemCommit<SystemWrite>) -> Result<Written> {
        Ok(self.ports.worker_store.commit(commit).await?)
    }

    fn notify(&self, commit: &SystemCommit<SystemWrite>) {
        let Some(next) = commit.change.updated() else { return };
        let (session, version) = (&next.id, Some(next.version));
        self.ports.notifier.notify(Notification::SessionChanged { session, version });
    }
}

/// Ends the job when the node has observed the current spec. The session then rests until `due`.
fn done_if_settled(progress: Progress) -> Progress {
    match progress {
        Progress::Continue(session) if session.observed.epoch == session.spec.epoch => {
            Progress::Done
        }
        other => other,
    }
}

fn log_failure(session: &Session, node: &Node, error: &GatewayError) {
    let error = error as &dyn Error;
    tracing::info!(
        session = %session.id,
        gateway = %node.id,
        error,
        "gateway call failed; will retry"
    );
}
