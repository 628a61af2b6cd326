//! Sees deleted sessions off: unlinks the device on WhatsApp, then has the node wipe its keys.
//!
//! Retries until WhatsApp confirms, or the retirement's deadline passes; the keys are wiped either
//! way, and a node that is away is waited for however long it takes.
//!
//! Decision: ADR 0006.

use domain::{
    LogoutOutcome, Node, Retirement, back_off,
    ports::{GatewayError, PortResult},
    reconcile::Place,
};

use crate::Worker;

impl Worker {
    /// Takes a retirement as far as it gets now.
    pub(crate) async fn retire(&self, retirement: Retirement) -> PortResult<()> {
        let Some(gateway) = &retirement.gateway else {
            // Left by an older berth: what no node ever held leaves none today.
            return self.finish(retirement, LogoutOutcome::NotLinked).await;
        };
        let node = self.ports.nodes.find(gateway).await?;
        let now = self.ports.environment.now();
        let live = Place::of(node.as_ref(), now, &self.deadlines) == Place::Live;
        match node.filter(|_| live) {
            Some(node) if now >= retirement.deadline || (retirement.told && !retirement.linked) => {
                self.forget(retirement, &node, LogoutOutcome::Unconfirmed).await
            }
            Some(node) => self.log_out(retirement, &node).await,
            None => self.retire_later(retirement).await,
        }
    }

    async fn log_out(&self, mut retirement: Retirement, node: &Node) -> PortResult<()> {
        let (epoch, linked) = (retirement.epoch, retirement.linked);
        let (gateway, deadline) = (&self.ports.gateway, self.deadlines.logout);
        match gateway.logout(node, &retirement.session, epoch, linked, deadline).await {
            Ok((LogoutOutcome::Unconfirmed, _)) => self.retire_later(retirement).await,
            Ok((outcome, _)) => self.forget(retirement, node, outcome).await,
            Err(error) => {
                outrun(&mut retirement, &error);
                tell_failure(&retirement, node, &error);
                self.retire_later(retirement).await
            }
        }
    }

    async fn forget(
        &self,
        mut retirement: Retirement,
        node: &Node,
        outcome: LogoutOutcome,
    ) -> PortResult<()> {
        // Only once nothing more is waited for are keys wiped that may still hold a link.
        let given_up = self.ports.environment.now() >= retirement.deadline;
        let (session, epoch) = (&retirement.session, retirement.epoch);
        match self.ports.gateway.forget(node, session, epoch, given_up).await {
            Ok(()) => self.finish(retirement, outcome).await,
            Err(GatewayError::Linked) => {
                tracing::warn!(%session, gateway = %node.id, "a device is linked after all");
                retirement.linked = true;
                self.postpone(retirement, Vec::new()).await
            }
            Err(error) => {
                outrun(&mut retirement, &error);
                tell_failure(&retirement, node, &error);
                // What WhatsApp said would otherwise be asked again and answered "nothing linked".
                let events = match outcome {
                    LogoutOutcome::Unconfirmed => Vec::new(),
                    told => {
                        retirement.linked = false;
                        retirement.tell(told, &*self.ports.environment)
                    }
                };
                self.postpone(retirement, events).await
            }
        }
    }

    async fn finish(&self, mut retirement: Retirement, outcome: LogoutOutcome) -> PortResult<()> {
        let events = retirement.tell(outcome, &*self.ports.environment);
        self.ports.backlog.finish(&retirement, &events).await?;
        let unlink = outcome.as_str();
        tracing::info!(session = %retirement.session, unlink, "retired: nothing of it is left");
        Ok(())
    }

    /// Tries again later; past the deadline, says that WhatsApp's word never came.
    async fn retire_later(&self, mut retirement: Retirement) -> PortResult<()> {
        let environment = &*self.ports.environment;
        let events = if environment.now() >= retirement.deadline {
            retirement.tell(LogoutOutcome::Unconfirmed, environment)
        } else {
            Vec::new()
        };
        self.postpone(retirement, events).await
    }

    async fn postpone(
        &self,
        mut retirement: Retirement,
        events: Vec<domain::Event>,
    ) -> PortResult<()> {
        let due = self.ports.environment.now().plus(back_off(retirement.attempts));
        retirement.due = if retirement.told { due } else { due.min(retirement.deadline) };
        retirement.attempts += 1;
        self.ports.backlog.postpone(&retirement, &events).await
    }
}

/// A node that knows a newer epoch than the retirement's is got ahead of, in growing steps.
fn outrun(retirement: &mut Retirement, error: &GatewayError) {
    if matches!(error, GatewayError::Stale) {
        retirement.epoch += 1 << retirement.attempts.min(16);
    }
}

fn tell_failure(retirement: &Retirement, node: &Node, error: &GatewayError) {
    let error = error as &dyn std::error::Error;
    tracing::info!(session = %retirement.session, gateway = %node.id, error, "not retired yet; again later");
}
