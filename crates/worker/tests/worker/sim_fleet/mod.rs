//! A simulated fleet: routers over one store, nodes, and a network with faults between them.

mod clock;
mod network;
mod node;
mod router;
mod stepped_store;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{
    Desired, Event, EventName, Session, SessionId, Settings,
    ports::{NodeStore, WorkerStore},
    testing::{FakeSessionControl, Memory, TestEnvironment, World},
};

use crate::model_test::gave_up_unlink;

pub(crate) use network::{Network, NetworkFault};
pub(crate) use node::NodeProcess;
pub(crate) use router::Router;

/// Routers, nodes, store and network of one test case.
pub(crate) struct SimulatedFleet {
    pub(crate) memory: Memory,
    pub(crate) routers: Vec<Router>,
    pub(crate) nodes: Vec<NodeProcess>,
    pub(crate) network: Network,
    /// The ids of all sessions, deleted sessions included.
    pub(crate) ids: Vec<SessionId>,
    /// Every QR code that was ever shown, with its session.
    pub(crate) shown_codes: Vec<(SessionId, String)>,
    time: Arc<TestEnvironment>,
    /// Whether a clock was ever wrong by more than the margin of the lease.
    clock_jumped: bool,
    /// The specs after the last request of an owner.
    owner_specs: BTreeMap<SessionId, OwnerSpec>,
}

/// The part of a spec that only the owner changes: desired state and whether the session is
/// pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnerSpec {
    desired: Desired,
    pairing: bool,
}

impl SimulatedFleet {
    /// Creates two routers, three sessions, and one node for each clock rate (milliseconds of the
    /// node's clock per second).
    pub(crate) async fn new(rates: &[i64]) -> Self {
        let (time, memory, network) = (TestEnvironment::new(), Memory::new(), Network::default());
        let routers: Vec<_> =
            (0..2).map(|_| Router::new(time.clone(), &memory, &network)).collect();
        let mut nodes = Vec::new();
        for (index, rate) in rates.iter().enumerate() {
            let gateway = FakeSessionControl::new(time.clone());
            // The first node has capacity for one session, so that a node is full in some cases.
            let capacity = u32::try_from(index).unwrap() + 1;
            let node = NodeProcess::new(&format!("gw-{index}"), gateway, capacity, *rate);
            network.connect(&node.id, node.gateway.clone());
            nodes.push(node);
        }
        let (ids, shown_codes, owner_specs) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut fleet = Self {
            memory,
            routers,
            nodes,
            network,
            ids,
            shown_codes,
            time,
            clock_jumped: false,
            owner_specs,
        };
        for _ in 0..3 {
            let sessions = &fleet.routers[0].sessions;
            let made = sessions.create(&World::acme(), Settings::default(), false, None).await;
            fleet.ids.push(made.unwrap().id);
        }
        fleet.pass(1, 0).await;
        fleet
    }

    /// Returns a session as stored; `None` if deleted.
    pub(crate) async fn session(&self, id: &SessionId) -> Option<Session> {
        WorkerStore::find(&self.memory, id).await.unwrap()
    }

    /// Makes the clock of a router jump by seconds.
    pub(crate) fn jump(&mut self, router: usize, seconds: i64) {
        self.routers[router].clock.jump(seconds * 1000);
        self.clock_jumped = true;
    }

    /// Lets seconds pass. In each second every worker performs `steps` steps.
    pub(crate) async fn pass(&mut self, seconds: u64, steps: usize) {
        for second in 0..seconds {
            self.time.advance(Duration::from_secs(1));
            self.tick(1, second).await;
            for _ in 0..steps {
                for router in &mut self.routers {
                    router.step();
                }
                self.check().await;
            }
        }
    }

    async fn tick(&mut self, seconds: i64, turn: u64) {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            // Nodes alternate between routers.
            let router = (index + usize::try_from(turn).unwrap()) % self.routers.len();
            node.tick(seconds, &self.routers[router].nodes).await;
        }
        self.check().await;
    }

    /// Ends all faults and lets enough time pass for all retries.
    pub(crate) async fn settle(&mut self) {
        while self.network.deliver(0).await {
            self.check().await;
        }
        for node in &mut self.nodes {
            (node.reachable, node.loses_responses) = (true, false);
            node.gateway.set_mute(false);
            node.gateway.set_slow(false);
            node.gateway.set_unreadable(false);
            self.network.set_fault(&node.id, NetworkFault::None);
        }
        for router in &mut self.routers {
            router.clock.reset();
        }
        // Longer than the deadline of an unlink that is never confirmed.
        for turn in 0..270 {
            self.time.advance(Duration::from_secs(15));
            self.tick(15, turn).await;
            for router in &mut self.routers {
                router.step();
                router.finish_round();
            }
            for node in &mut self.nodes {
                node.report(&self.routers[0].nodes, true).await;
            }
            self.check().await;
        }
    }

    /// Records the specs after a request of an owner.
    pub(crate) async fn record_specs(&mut self) {
        for id in self.ids.clone() {
            let session = self.session(&id).await;
            self.owner_specs.remove(&id);
            self.owner_specs.extend(session.map(|session| (id, OwnerSpec::of(&session))));
        }
    }

    /// Checks the invariants that hold after every step.
    pub(crate) async fn check(&mut self) {
        for id in self.ids.clone() {
            for (property, nodes) in [
                ("connected", self.nodes_where(&id, NodeProcess::online)),
                ("linked", self.nodes_where(&id, NodeProcess::linked)),
            ] {
                assert!(nodes.len() <= 1, "{id} is {property} on several nodes: {nodes:?}");
            }
            let session = self.session(&id).await;
            self.check_unlinked(&id, session.as_ref());
            let Some(session) = session else { continue };
            self.check_spec(&session);
            let code = session.observed.pairing.and_then(|attempt| attempt.qr).map(|qr| qr.text);
            let new = code.map(|code| (id, code)).filter(|code| !self.shown_codes.contains(code));
            self.shown_codes.extend(new);
        }
        if !self.clock_jumped {
            self.check_lost().await;
        }
    }

    /// Checks that no phone has a device of a session that is reported as unlinked, unless the
    /// outcome is `unconfirmed`.
    fn check_unlinked(&self, id: &SessionId, session: Option<&Session>) {
        let reported = match session {
            Some(session) => session.is_certainly_unlinked(),
            None => self.events_of(id).any(|event| event.name() == EventName::SessionRetired),
        };
        if reported && !gave_up_unlink(&self.memory, id) {
            let nodes = self.nodes_where(id, |node| node.gateway.devices());
            assert!(nodes.is_empty(), "{id} is reported as unlinked but linked on {nodes:?}");
        }
    }

    fn events_of(&self, id: &SessionId) -> impl Iterator<Item = Event> {
        self.memory.events().into_iter().filter(move |event| event.session.as_ref() == Some(id))
    }

    /// Checks that only owners change specs, except that a pairing ends.
    fn check_spec(&mut self, session: &Session) {
        let spec = OwnerSpec::of(session);
        let before = self.owner_specs.insert(session.id.clone(), spec).unwrap_or(spec);
        let pairing_ended = before.pairing && !spec.pairing;
        assert!(
            spec.desired == before.desired || pairing_ended,
            "{before:?} became {spec:?}: {session:?}"
        );
        assert!(before.pairing || !spec.pairing, "no owner asked for a pairing: {session:?}");
    }

    /// Checks that a lost node has no open connection: while clocks are right, its lease has ended
    /// by its own clock.
    async fn check_lost(&self) {
        for known in NodeStore::list(&self.memory).await.unwrap() {
            let node = self.nodes.iter().find(|node| node.id == known.id).unwrap();
            let online = node.online();
            assert!(known.lost_at.is_none() || online.is_empty(), "{online:?} on {}", known.id);
        }
    }

    /// Returns the nodes on which a session has a property.
    fn nodes_where(
        &self,
        id: &SessionId,
        property: impl Fn(&NodeProcess) -> Vec<SessionId>,
    ) -> Vec<&str> {
        let nodes = self.nodes.iter().filter(|node| property(node).contains(id));
        nodes.map(|node| node.id.as_str()).collect()
    }
}

impl OwnerSpec {
    fn of(session: &Session) -> Self {
        let pairing = session.spec.pairing.is_some();
        Self { desired: session.spec.desired, pairing }
    }
}
