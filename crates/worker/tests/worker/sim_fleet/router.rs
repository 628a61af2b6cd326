//! A simulated router: the test runs its worker step by step and can stop it between any two steps.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
};

use domain::{
    Deadlines, Leases, Nodes, SessionPorts, Sessions,
    testing::{Memory, PlainOrganizationTags, TestEnvironment, TestNotifier},
};
use worker::{Ports, Worker};

use super::{
    clock::{Clock, EndlessPause},
    network::Network,
    stepped_store::SteppedStore,
};

/// The maximum number of steps in a round. More steps mean that the round never ends.
const MAX_STEPS: usize = 5_000;

/// A simulated router.
pub(crate) struct Router {
    pub(crate) clock: Arc<Clock>,
    /// The use cases of owners.
    pub(crate) sessions: Sessions,
    /// The use cases of nodes.
    pub(crate) nodes: Nodes,
    worker: Worker,
    round: Option<Pin<Box<dyn Future<Output = usize>>>>,
}

impl Router {
    pub(crate) fn new(time: Arc<TestEnvironment>, memory: &Memory, network: &Network) -> Self {
        let (clock, deadlines) = (Clock::new(time), Deadlines::default());
        let notifier = TestNotifier::new(Arc::new(EndlessPause));
        let leases = Arc::<Leases>::default();
        let (store, stepped) = (Arc::new(memory.clone()), Arc::new(SteppedStore(memory.clone())));
        let sessions = SessionPorts {
            store: store.clone(),
            nodes: store.clone(),
            session_control: Arc::new(network.clone()),
            environment: clock.clone(),
            notifier: notifier.clone(),
            leases: leases.clone(),
        };
        let ports = Ports {
            worker_store: stepped.clone(),
            message_removals: store.clone(),
            nodes: stepped,
            gateway: Arc::new(network.clone()),
            environment: clock.clone(),
            notifier: notifier.clone(),
            leases,
            organization_tags: Arc::new(PlainOrganizationTags),
        };
        Self {
            sessions: Sessions::new(sessions, deadlines.clone()),
            nodes: Nodes::new(store.clone(), store, clock.clone(), notifier, deadlines.clone()),
            worker: Worker::new(ports, deadlines),
            clock,
            round: None,
        }
    }

    /// Performs one step of the current round, or starts a round. Returns the number of jobs when
    /// the round ends.
    pub(crate) fn step(&mut self) -> Option<usize> {
        let worker = self.worker.clone();
        let round = self
            .round
            .get_or_insert_with(|| Box::pin(async move { worker.round().await.unwrap() }));
        match round.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(jobs) => {
                self.round = None;
                Some(jobs)
            }
            std::task::Poll::Pending => None,
        }
    }

    /// Completes the current round, if any.
    pub(crate) fn finish_round(&mut self) {
        for _ in 0..MAX_STEPS {
            if self.round.is_none() || self.step().is_some() {
                return;
            }
        }
        panic!("a round never ends");
    }

    /// Stops the current round at its current step, as a new process would find it.
    pub(crate) fn crash(&mut self) {
        self.round = None;
    }
}
