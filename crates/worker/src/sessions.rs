//! Carries out the next step of a session, until there is none.

use std::error::Error;

use domain::{
    Actor, Change, Declaration, LogoutOutcome, Node, Session, SessionId, Snapshot, back_off,
    ports::{GatewayError, PortResult, Written},
    reconcile::{NodeLiveness, Step, plan},
};

use crate::Worker;

/// How many steps one turn takes at most; whoever needs more gets another turn.
const STEPS: usize = 12;

/// Whether a turn goes on.
enum Turn {
    /// With the session as it is now.
    On(Box<Session>),
    /// It is over: settled, put off, or deleted meanwhile.
    Over,
}

impl Worker {
    /// Takes a session as far as it gets now.
    pub(crate) async fn reconcile(&self, mut session: Session) -> PortResult<()> {
        for _ in 0..STEPS {
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
            tracing::debug!(session = %session.id, ?step, "next");
            session = match self.carry_out(step, session, node).await? {
                Turn::On(session) => *session,
                Turn::Over => return Ok(()),
            };
        }
        Ok(())
    }

    async fn carry_out(
        &self,
        step: Step,
        session: Session,
        node: Option<Node>,
    ) -> PortResult<Turn> {
        let now = self.ports.environment.now();
        match (step, node) {
            (Step::Rest(until), _) => {
                let (id, expected_version) = (&session.id, session.expected_version());
                let written =
                    self.ports.worker_store.reschedule(id, expected_version, until, 0).await?;
                self.unless_raced(written, id).await
            }
            (Step::AssignNode, _) => self.assign_node(session).await,
            (Step::NothingToUnlink, _) => {
                self.unlinked(&session.id, LogoutOutcome::NotLinked, None).await
            }
            (Step::MarkNodeLost, _) => self.write(session.mark_node_lost(now)).await,
            (Step::Expire, _) => self.write(session.expire(now)).await,
            (Step::Retry, _) => self.write(session.retry(now, &self.deadlines)).await,
            (Step::Declare, Some(node)) => self.declare(session, &node).await,
            (Step::Unlink, Some(node)) => self.unlink(session, &node).await,
            (Step::GiveUpUnlink, Some(node)) => self.give_up_unlink(session, &node).await,
            // The plan asks a node only when there is one.
            (Step::Declare | Step::Unlink | Step::GiveUpUnlink, None) => {
                self.put_off(session).await
            }
        }
    }

    async fn assign_node(&self, session: Session) -> PortResult<Turn> {
        let now = self.ports.environment.now();
        let nodes = self.ports.nodes.list().await?;
        if let Some(node) = self.room.choose(&nodes, now, self.deadlines.lease) {
            return self.write(session.assign_node(node, now)).await;
        }
        // It is woken when there is room; until then no timer is of any use.
        let (id, expected_version, rest) =
            (&session.id, session.expected_version(), session.rest_until());
        let written = self.ports.worker_store.reschedule(id, expected_version, rest, 0).await?;
        self.unless_raced(written, id).await
    }

    async fn declare(&self, session: Session, node: &Node) -> PortResult<Turn> {
        let group = Some(self.ports.groups.tag(&session.organization));
        let declaration = Declaration { group, ..session.declaration() };
        let answer = self.ports.gateway.declare(node, &session.id, &declaration).await;
        let now = self.ports.environment.now();
        let due = now.plus(back_off(session.failures));
        match answer {
            Ok(snapshot) => {
                if let Some(change) = session.clone().observe_answer(snapshot, now, &self.deadlines)
                {
                    return self.write(change).await.map(over_when_settled);
                }
                let (id, rest) = (&session.id, session.rest_until());
                let written = self
                    .ports
                    .worker_store
                    .reschedule(id, session.expected_version(), rest, 0)
                    .await?;
                self.unless_raced(written, id).await
            }
            Err(GatewayError::Stale) => {
                self.write(session.advance_epoch(due)).await.map(|_| Turn::Over)
            }
            Err(GatewayError::Full) if !session.is_paired() => {
                self.room.is_full(node);
                self.write(session.unassign_node()).await.map(|_| Turn::Over)
            }
            Err(error) => {
                tell_failure(&session, node, &error);
                self.put_off(session).await
            }
        }
    }

    async fn unlink(&self, session: Session, node: &Node) -> PortResult<Turn> {
        let (epoch, deadline) = (session.spec.epoch, self.deadlines.logout);
        let linked = session.is_paired();
        match self.ports.gateway.logout(node, &session.id, epoch, linked, deadline).await {
            Ok((LogoutOutcome::Unconfirmed, observed)) => self.unconfirmed(session, observed).await,
            Ok((outcome, last)) => self.unlinked(&session.id, outcome, Some(last)).await,
            Err(GatewayError::Stale) => {
                let due = self.ports.environment.now().plus(back_off(session.failures));
                self.write(session.advance_epoch(due)).await.map(|_| Turn::Over)
            }
            Err(error) => {
                tell_failure(&session, node, &error);
                self.put_off(session).await
            }
        }
    }

    /// The unlink goes on; why it takes so long is shown meanwhile.
    async fn unconfirmed(&self, session: Session, observed: Snapshot) -> PortResult<Turn> {
        let now = self.ports.environment.now();
        let Some(change) = session.clone().observe(observed, now, &self.deadlines) else {
            return self.put_off(session).await;
        };
        match self.write(change).await? {
            Turn::On(session) => self.put_off(*session).await,
            Turn::Over => Ok(Turn::Over),
        }
    }

    async fn give_up_unlink(&self, session: Session, node: &Node) -> PortResult<Turn> {
        match self.ports.gateway.forget(node, &session.id, session.spec.epoch, true).await {
            Ok(()) => {
                tracing::warn!(session = %session.id, "unlink not confirmed in time; keys wiped");
                self.unlinked(&session.id, LogoutOutcome::Unconfirmed, None).await
            }
            Err(error) => {
                tell_failure(&session, node, &error);
                self.put_off(session).await
            }
        }
    }

    /// Writes down that a device is unlinked, whatever else was written meanwhile: the news must not be
    /// lost to a race.
    async fn unlinked(
        &self,
        id: &SessionId,
        outcome: LogoutOutcome,
        last: Option<Snapshot>,
    ) -> PortResult<Turn> {
        loop {
            let Some(session) = self.ports.worker_store.find(id).await? else {
                return Ok(Turn::Over);
            };
            let now = self.ports.environment.now();
            let Some(change) = session.complete_unlink(outcome, last.as_ref(), now) else {
                return self.again(id).await;
            };
            let (next, expected, events) =
                change.into_commit(&Actor::System, &*self.ports.environment);
            if self.ports.worker_store.update(&next, expected, &events).await? == Written::Done {
                self.ports.change_notifier.publish(&next.id, Some(next.version));
                return Ok(Turn::On(Box::new(next)));
            }
        }
    }

    /// Tries again later, the later the more often it failed.
    async fn put_off(&self, session: Session) -> PortResult<Turn> {
        let now = self.ports.environment.now();
        let due = now.plus(back_off(session.failures));
        // A deadline that comes sooner is not slept through.
        let sooner = session.rest_until().filter(|rest| *rest > now);
        let due = sooner.map_or(due, |rest| rest.min(due));
        let (id, expected_version, failures) =
            (&session.id, session.expected_version(), session.failures + 1);
        let written =
            self.ports.worker_store.reschedule(id, expected_version, Some(due), failures).await?;
        self.unless_raced(written, &session.id).await
    }

    async fn write(&self, change: Change) -> PortResult<Turn> {
        let (next, expected, events) = change.into_commit(&Actor::System, &*self.ports.environment);
        match self.ports.worker_store.update(&next, expected, &events).await? {
            Written::Done => {
                self.ports.change_notifier.publish(&next.id, Some(next.version));
                Ok(Turn::On(Box::new(next)))
            }
            Written::Raced | Written::Repeated | Written::Refused(_) => self.again(&next.id).await,
        }
    }

    async fn unless_raced(&self, written: Written, id: &SessionId) -> PortResult<Turn> {
        match written {
            Written::Done => Ok(Turn::Over),
            Written::Raced | Written::Repeated | Written::Refused(_) => self.again(id).await,
        }
    }

    /// With the session as it is now, if it still is.
    async fn again(&self, id: &SessionId) -> PortResult<Turn> {
        let session = self.ports.worker_store.find(id).await?;
        Ok(session.map_or(Turn::Over, |session| Turn::On(Box::new(session))))
    }
}

/// After its node's answer a session rests until its `due`, unless the answer asks for more now.
fn over_when_settled(turn: Turn) -> Turn {
    match turn {
        Turn::On(session) if session.observed.epoch == session.spec.epoch => Turn::Over,
        other => other,
    }
}

fn tell_failure(session: &Session, node: &Node, error: &GatewayError) {
    let error = error as &dyn Error;
    tracing::info!(session = %session.id, gateway = %node.id, error, "the gateway did not do it; again later");
}
