//! Cleans up deleted sessions: unlinks the device on WhatsApp, then lets the node wipe its keys.
//!
//! The worker retries until WhatsApp confirms or the deadline of the cleanup passes; the keys are
//! wiped in both cases. The cleanup waits for an unreachable node without limit.
//!
//! Decision: ADR 0006.

use domain::{
    Cleanup, Event, LogoutOutcome, Node, Result, SystemCommit, back_off,
    commit::commit_once,
    ports::{GatewayError, SystemWrite},
    reconcile::NodeLiveness,
};

use crate::Worker;

impl Worker {
    /// Performs the next step of a cleanup.
    pub(crate) async fn clean_up(&self, cleanup: Cleanup) -> Result<()> {
        let Some(gateway) = &cleanup.gateway else {
            // A row of an older version. This version creates no cleanup for a session that never
            // had a node.
            return self.finish(cleanup, LogoutOutcome::NotLinked).await;
        };
        let node = self.ports.nodes.find(gateway).await?;
        let now = self.ports.environment.now();
        let live = NodeLiveness::of(node.as_ref(), now, &self.deadlines) == NodeLiveness::Live;
        match node.filter(|_| live) {
            Some(node)
                if now >= cleanup.deadline || (cleanup.outcome_reported && !cleanup.linked) =>
            {
                self.wipe_keys(cleanup, &node, LogoutOutcome::Unconfirmed).await
            }
            Some(node) => self.log_out(cleanup, &node).await,
            None => self.retry_later(cleanup).await,
        }
    }

    async fn log_out(&self, mut cleanup: Cleanup, node: &Node) -> Result<()> {
        let (epoch, linked) = (cleanup.epoch, cleanup.linked);
        let (gateway, deadline) = (&self.ports.gateway, self.deadlines.logout);
        match gateway.logout(node, &cleanup.session, epoch, linked, deadline).await {
            Ok((LogoutOutcome::Unconfirmed, _)) => self.retry_later(cleanup).await,
            Ok((outcome, _)) => self.wipe_keys(cleanup, node, outcome).await,
            Err(error) => {
                advance_epoch(&mut cleanup, &error);
                log_failure(&cleanup, node, &error);
                self.retry_later(cleanup).await
            }
        }
    }

    async fn wipe_keys(
        &self,
        mut cleanup: Cleanup,
        node: &Node,
        outcome: LogoutOutcome,
    ) -> Result<()> {
        // Before the deadline, the node must not wipe keys that may still link a device.
        let given_up = self.ports.environment.now() >= cleanup.deadline;
        let (session, epoch) = (&cleanup.session, cleanup.epoch);
        match self.ports.gateway.forget(node, session, epoch, given_up).await {
            Ok(()) => self.finish(cleanup, outcome).await,
            Err(GatewayError::Linked) => {
                tracing::warn!(
                    %session,
                    gateway = %node.id,
                    "a device is still linked; the cleanup unlinks it before it wipes the keys"
                );
                cleanup.linked = true;
                self.postpone(cleanup, Vec::new()).await
            }
            Err(error) => {
                advance_epoch(&mut cleanup, &error);
                log_failure(&cleanup, node, &error);
                // The outcome is recorded now: the next attempt would get "not linked" instead.
                let events = match outcome {
                    LogoutOutcome::Unconfirmed => Vec::new(),
                    final_outcome => {
                        cleanup.linked = false;
                        cleanup.report_outcome(final_outcome, &*self.ports.environment)
                    }
                };
                self.postpone(cleanup, events).await
            }
        }
    }

    async fn finish(&self, mut cleanup: Cleanup, outcome: LogoutOutcome) -> Result<()> {
        let events = cleanup.report_outcome(outcome, &*self.ports.environment);
        let (session, unlink) = (cleanup.session.clone(), outcome.as_str());
        self.write_cleanup(SystemWrite::Finish(cleanup), events).await?;
        tracing::info!(%session, unlink, "session cleanup finished");
        Ok(())
    }

    /// Postpones the cleanup. After the deadline, records that WhatsApp did not confirm the unlink.
    async fn retry_later(&self, mut cleanup: Cleanup) -> Result<()> {
        let environment = &*self.ports.environment;
        let events = if environment.now() >= cleanup.deadline {
            cleanup.report_outcome(LogoutOutcome::Unconfirmed, environment)
        } else {
            Vec::new()
        };
        self.postpone(cleanup, events).await
    }

    async fn postpone(&self, mut cleanup: Cleanup, events: Vec<Event>) -> Result<()> {
        let due = self.ports.environment.now().plus(back_off(cleanup.attempts));
        cleanup.due = if cleanup.outcome_reported { due } else { due.min(cleanup.deadline) };
        cleanup.attempts += 1;
        self.write_cleanup(SystemWrite::Postpone(cleanup), events).await
    }

    /// Writes a cleanup. A cleanup that is gone was finished by another router.
    async fn write_cleanup(&self, change: SystemWrite, events: Vec<Event>) -> Result<()> {
        commit_once(self, &SystemCommit { change, events, idempotency: () }).await.map(drop)
    }
}

/// Advances the epoch of a cleanup in growing steps after a node rejected it as stale.
fn advance_epoch(cleanup: &mut Cleanup, error: &GatewayError) {
    if matches!(error, GatewayError::Stale) {
        cleanup.epoch += 1 << cleanup.attempts.min(16);
    }
}

fn log_failure(cleanup: &Cleanup, node: &Node, error: &GatewayError) {
    let error = error as &dyn std::error::Error;
    tracing::info!(
        session = %cleanup.session,
        gateway = %node.id,
        error,
        "session cleanup failed; will retry"
    );
}
