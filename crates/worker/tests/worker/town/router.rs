//! One of several routers over one store: its worker goes on step by step, as the test says, and may
//! die at any of them.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
};

use domain::{
    Deadlines, Leases, Nodes, SessionPorts, Sessions,
    testing::{Memory, PlainOrganizationTags, TestEnvironment},
};
use worker::{Ports, Worker};

use super::{
    clock::{Clock, NoNotifier},
    network::Network,
    slow::Slow,
};

/// How many steps a round takes at most before it is called endless.
const ENDLESS: usize = 5_000;

/// A router.
pub(crate) struct Router {
    pub(crate) clock: Arc<Clock>,
    /// What owners ask of it.
    pub(crate) sessions: Sessions,
    /// What nodes tell it.
    pub(crate) nodes: Nodes,
    worker: Worker,
    round: Option<Pin<Box<dyn Future<Output = usize>>>>,
}

impl Router {
    pub(crate) fn new(time: Arc<TestEnvironment>, memory: &Memory, network: &Network) -> Self {
        let (clock, notifier, deadlines) =
            (Clock::new(time), Arc::new(NoNotifier), Deadlines::default());
        let leases = Arc::<Leases>::default();
        let (store, slow) = (Arc::new(memory.clone()), Arc::new(Slow(memory.clone())));
        let sessions = SessionPorts {
            store: store.clone(),
            nodes: store.clone(),
            session_control: Arc::new(network.clone()),
            environment: clock.clone(),
            worker_notifier: notifier.clone(),
            change_notifier: notifier.clone(),
            leases: leases.clone(),
        };
        let ports = Ports {
            worker_store: slow.clone(),
            nodes: slow,
            gateway: Arc::new(network.clone()),
            environment: clock.clone(),
            work: notifier.clone(),
            change_notifier: notifier.clone(),
            leases,
            groups: Arc::new(PlainOrganizationTags),
        };
        Self {
            sessions: Sessions::new(sessions, deadlines.clone()),
            nodes: Nodes::new(
                store.clone(),
                store,
                clock.clone(),
                notifier.clone(),
                notifier,
                deadlines.clone(),
            ),
            worker: Worker::new(ports, deadlines),
            clock,
            round: None,
        }
    }

    /// Goes on by one step, beginning a round when none is under way. How much the round found to do,
    /// when it ends by that.
    pub(crate) fn step(&mut self) -> Option<usize> {
        let worker = self.worker.clone();
        let round = self
            .round
            .get_or_insert_with(|| Box::pin(async move { worker.round().await.unwrap() }));
        match round.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(found) => {
                self.round = None;
                Some(found)
            }
            std::task::Poll::Pending => None,
        }
    }

    /// Ends the round that is under way, and begins none.
    pub(crate) fn finish(&mut self) {
        for _ in 0..ENDLESS {
            if self.round.is_none() || self.step().is_some() {
                return;
            }
        }
        panic!("a round never ends");
    }

    /// Dies, wherever it is; another process takes its place.
    pub(crate) fn crash(&mut self) {
        self.round = None;
    }
}
