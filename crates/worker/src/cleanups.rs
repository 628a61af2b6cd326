//! Sees deleted sessions off: unlinks the device on WhatsApp, then has the node wipe its keys.
//!
//! Retries until WhatsApp confirms, or the retirement's deadline passes; the keys are wiped either
//! way, and a node that is away is waited for however long it takes.
//!
//! Decision: ADR 0006.

use domain::{
    Cleanup, LogoutOutcome, Node, back_off,
    ports::{GatewayError, PortResult},
    reconcile::NodeLiveness,
};

use crate::Worker;

impl Worker {
    /// Takes a retirement as far as it gets now.
    pub(crate) async fn clean_up(&self, cleanup: Cleanup) -> PortResult<()> {
        let Some(gateway) = &cleanup.gateway else {
            // Left by an older berth: what no node ever held leaves none today.
            return self.finish(cleanup, LogoutOutcome::NotLinked).await;
        };
        let node = self.ports.nodes.find(gateway).await?;
        let now = self.ports.environment.now();
        let live = NodeLiveness::of(node.as_ref(), now, &self.deadlines) == NodeLiveness::Live;
        match node.filter(|_| live) {
            Some(node)
                if now >= cleanup.deadline || (cleanup.outcome_reported && !cleanup.linked) =>
            {
                self.forget(cleanup, &node, LogoutOutcome::Unconfirmed).await
            }
            Some(node) => self.log_out(cleanup, &node).await,
            None => self.retire_later(cleanup).await,
        }
    }

    async fn log_out(&self, mut cleanup: Cleanup, node: &Node) -> PortResult<()> {
        let (epoch, linked) = (cleanup.epoch, cleanup.linked);
        let (gateway, deadline) = (&self.ports.gateway, self.deadlines.logout);
        match gateway.logout(node, &cleanup.session, epoch, linked, deadline).await {
            Ok((LogoutOutcome::Unconfirmed, _)) => self.retire_later(cleanup).await,
            Ok((outcome, _)) => self.forget(cleanup, node, outcome).await,
            Err(error) => {
                advance_epoch(&mut cleanup, &error);
                tell_failure(&cleanup, node, &error);
                self.retire_later(cleanup).await
            }
        }
    }

    async fn forget(
        &self,
        mut cleanup: Cleanup,
        node: &Node,
        outcome: LogoutOutcome,
    ) -> PortResult<()> {
        // Only once nothing more is waited for are keys wiped that may still hold a link.
        let given_up = self.ports.environment.now() >= cleanup.deadline;
        let (session, epoch) = (&cleanup.session, cleanup.epoch);
        match self.ports.gateway.forget(node, session, epoch, given_up).await {
            Ok(()) => self.finish(cleanup, outcome).await,
            Err(GatewayError::Linked) => {
                tracing::warn!(%session, gateway = %node.id, "a device is linked after all");
                cleanup.linked = true;
                self.postpone(cleanup, Vec::new()).await
            }
            Err(error) => {
                advance_epoch(&mut cleanup, &error);
                tell_failure(&cleanup, node, &error);
                // What WhatsApp said would otherwise be asked again and answered "nothing linked".
                let events = match outcome {
                    LogoutOutcome::Unconfirmed => Vec::new(),
                    outcome_reported => {
                        cleanup.linked = false;
                        cleanup.report_outcome(outcome_reported, &*self.ports.environment)
                    }
                };
                self.postpone(cleanup, events).await
            }
        }
    }

    async fn finish(&self, mut cleanup: Cleanup, outcome: LogoutOutcome) -> PortResult<()> {
        let events = cleanup.report_outcome(outcome, &*self.ports.environment);
        self.ports.worker_store.finish(&cleanup, &events).await?;
        let unlink = outcome.as_str();
        tracing::info!(session = %cleanup.session, unlink, "retired: nothing of it is left");
        Ok(())
    }

    /// Tries again later; past the deadline, says that WhatsApp's word never came.
    async fn retire_later(&self, mut cleanup: Cleanup) -> PortResult<()> {
        let environment = &*self.ports.environment;
        let events = if environment.now() >= cleanup.deadline {
            cleanup.report_outcome(LogoutOutcome::Unconfirmed, environment)
        } else {
            Vec::new()
        };
        self.postpone(cleanup, events).await
    }

    async fn postpone(&self, mut cleanup: Cleanup, events: Vec<domain::Event>) -> PortResult<()> {
        let due = self.ports.environment.now().plus(back_off(cleanup.attempts));
        cleanup.due = if cleanup.outcome_reported { due } else { due.min(cleanup.deadline) };
        cleanup.attempts += 1;
        self.ports.worker_store.postpone(&cleanup, &events).await
    }
}

/// A node that knows a newer epoch than the retirement's is got ahead of, in growing steps.
fn advance_epoch(cleanup: &mut Cleanup, error: &GatewayError) {
    if matches!(error, GatewayError::Stale) {
        cleanup.epoch += 1 << cleanup.attempts.min(16);
    }
}

fn tell_failure(cleanup: &Cleanup, node: &Node, error: &GatewayError) {
    let error = error as &dyn std::error::Error;
    tracing::info!(session = %cleanup.session, gateway = %node.id, error, "not retired yet; again later");
}
