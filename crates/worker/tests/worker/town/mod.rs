//! Several routers over one store, several nodes, and everything that can go wrong between them.

mod clock;
mod network;
mod node;
mod router;
mod slow;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{
    Desired, Event, EventName, EventValue, Session, SessionId, Settings,
    ports::{NodeStore, WorkerStore},
    testing::{FakeSessionControl, Memory, TestEnvironment, World},
};

pub(crate) use network::{Network, Weather};
pub(crate) use node::NodeProcess;
pub(crate) use router::Router;

/// All of it.
pub(crate) struct Town {
    pub(crate) memory: Memory,
    pub(crate) routers: Vec<Router>,
    pub(crate) nodes: Vec<NodeProcess>,
    pub(crate) network: Network,
    /// The sessions' names, also of those that are deleted.
    pub(crate) ids: Vec<SessionId>,
    /// Every QR code that was ever shown, and for which session.
    pub(crate) shown: Vec<(SessionId, String)>,
    time: Arc<TestEnvironment>,
    /// A clock was wrong by more than the lease's margin at some time.
    jumped: bool,
    /// What owners want, as they left it.
    wishes: BTreeMap<SessionId, Wish>,
}

/// What is wanted of a session: connected or not, and whether it is being paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    desired: Desired,
    pairing: bool,
}

impl Town {
    /// Two routers, a node for each of these clocks (of which so many milliseconds go by in a second),
    /// and three sessions.
    pub(crate) async fn new(rates: &[i64]) -> Self {
        let (time, memory, network) = (TestEnvironment::new(), Memory::new(), Network::default());
        let routers: Vec<_> =
            (0..2).map(|_| Router::new(time.clone(), &memory, &network)).collect();
        let mut nodes = Vec::new();
        for (assign_node, rate) in rates.iter().enumerate() {
            let gateway = FakeSessionControl::new(time.clone());
            // The first has room for one, so that one is full now and then.
            let capacity = u32::try_from(assign_node).unwrap() + 1;
            let node = NodeProcess::new(&format!("gw-{assign_node}"), gateway, capacity, *rate);
            network.connect(&node.id, node.gateway.clone());
            nodes.push(node);
        }
        let (ids, shown, wishes) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut town =
            Self { memory, routers, nodes, network, ids, shown, time, jumped: false, wishes };
        for _ in 0..3 {
            let sessions = &town.routers[0].sessions;
            let made = sessions.create(&World::acme(), Settings::default(), false).await;
            town.ids.push(made.unwrap().id);
        }
        town.pass(1, 0).await;
        town
    }

    /// A session as it is stored; `None` when it is deleted.
    pub(crate) async fn session(&self, id: &SessionId) -> Option<Session> {
        WorkerStore::find(&self.memory, id).await.unwrap()
    }

    /// A router's clock is set by so many seconds.
    pub(crate) fn jump(&mut self, router: usize, seconds: i64) {
        self.routers[router].clock.jump(seconds * 1000);
        self.jumped = true;
    }

    /// Lets seconds pass, in each of which every worker takes so many steps.
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
        for (assign_node, node) in self.nodes.iter_mut().enumerate() {
            // Now this router hears it, now that one.
            let router = (assign_node + usize::try_from(turn).unwrap()) % self.routers.len();
            node.tick(seconds, &self.routers[router].nodes).await;
        }
        self.check().await;
    }

    /// Everything is mended, and enough time passes for whatever was put off.
    pub(crate) async fn come_to_rest(&mut self) {
        while self.network.deliver(0).await {
            self.check().await;
        }
        for node in &mut self.nodes {
            (node.reaches, node.deaf) = (true, false);
            node.gateway.set_mute(false);
            node.gateway.set_slow(false);
            node.gateway.set_unreadable(false);
            self.network.turn(&node.id, Weather::Fine);
        }
        for router in &mut self.routers {
            router.clock.mend();
        }
        // Longer than an unlink may take that nobody can confirm.
        for turn in 0..270 {
            self.time.advance(Duration::from_secs(15));
            self.tick(15, turn).await;
            for router in &mut self.routers {
                router.step();
                router.finish();
            }
            for node in &mut self.nodes {
                node.report(&self.routers[0].nodes, true).await;
            }
            self.check().await;
        }
    }

    /// The owners have spoken: this is what they want.
    pub(crate) async fn note_wishes(&mut self) {
        for id in self.ids.clone() {
            let session = self.session(&id).await;
            self.wishes.remove(&id);
            self.wishes.extend(session.map(|session| (id, Wish::of(&session))));
        }
    }

    /// What holds at every moment.
    pub(crate) async fn check(&mut self) {
        for id in self.ids.clone() {
            for (what, places) in [
                ("connected", self.places(&id, NodeProcess::online)),
                ("linked", self.places(&id, NodeProcess::linked)),
            ] {
                assert!(places.len() <= 1, "{id} is {what} on {places:?} at once");
            }
            let session = self.session(&id).await;
            self.check_unlinked(&id, session.as_ref());
            let Some(session) = session else { continue };
            self.check_wish(&session);
            let code = session.observed.pairing.and_then(|attempt| attempt.qr).map(|qr| qr.text);
            let shown = code.map(|code| (id, code)).filter(|code| !self.shown.contains(code));
            self.shown.extend(shown);
        }
        if !self.jumped {
            self.check_lost().await;
        }
    }

    /// What is said to be unlinked is unlinked: no phone has a device of it, unless berth had to give up
    /// and said so.
    fn check_unlinked(&self, id: &SessionId, session: Option<&Session>) {
        let said_so = match session {
            Some(session) => session.is_certainly_unlinked(),
            None => self.outcome_reported(id).any(|event| event.name == EventName::SessionRetired),
        };
        if said_so && !self.gave_up(id) {
            let places = self.places(id, |node| node.gateway.devices());
            assert!(places.is_empty(), "{id} is told as unlinked, and linked on {places:?}");
        }
    }

    /// Whether an unlink of this session was ever given up.
    pub(crate) fn gave_up(&self, id: &SessionId) -> bool {
        let unconfirmed = EventValue::Text("unconfirmed".into());
        let says_so =
            |event: Event| event.payload.contains(&("unlink".into(), unconfirmed.clone()));
        self.outcome_reported(id).any(says_so)
    }

    fn outcome_reported(&self, id: &SessionId) -> impl Iterator<Item = Event> {
        self.memory.events().into_iter().filter(move |event| event.session.as_ref() == Some(id))
    }

    /// Nobody but its owner changes what is wanted of a session, save that a pairing ends.
    fn check_wish(&mut self, session: &Session) {
        let wish = Wish::of(session);
        let before = self.wishes.insert(session.id.clone(), wish).unwrap_or(wish);
        let over = before.pairing && !wish.pairing;
        assert!(wish.desired == before.desired || over, "{before:?} became {wish:?}: {session:?}");
        assert!(before.pairing || !wish.pairing, "nobody asked for a pairing: {session:?}");
    }

    /// What is believed closed is closed: as long as clocks are right, the lease of a node that was
    /// given up has run out by its own.
    async fn check_lost(&self) {
        for known in NodeStore::list(&self.memory).await.unwrap() {
            let node = self.nodes.iter().find(|node| node.id == known.id).unwrap();
            let online = node.online();
            assert!(known.lost_at.is_none() || online.is_empty(), "{online:?} on {}", known.id);
        }
    }

    /// The nodes on which a session is so.
    fn places(&self, id: &SessionId, what: impl Fn(&NodeProcess) -> Vec<SessionId>) -> Vec<&str> {
        let nodes = self.nodes.iter().filter(|node| what(node).contains(id));
        nodes.map(|node| node.id.as_str()).collect()
    }
}

impl Wish {
    fn of(session: &Session) -> Self {
        let pairing = session.spec.pairing.is_some();
        Self { desired: session.spec.desired, pairing }
    }
}
