//! A test world with a worker and one node. The worker performs a round whenever a use case waits.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    Deadlines, GatewayId, Session, SessionId, Settings, Snapshot,
    ports::NodeStore,
    testing::{
        FakeSessionControl, Memory, PlainOrganizationTags, TestEnvironment, TestPause, World,
    },
};
use tokio::sync::OnceCell;
use worker::{Ports, Worker};

/// A test world with a worker.
pub(crate) struct Fixture {
    pub(crate) world: World,
    pub(crate) worker: Worker,
}

/// A pause that lets the worker perform a round and then the time pass.
struct WorkingPause {
    worker: OnceCell<Worker>,
    environment: Arc<TestEnvironment>,
}

#[async_trait]
impl TestPause for WorkingPause {
    async fn pause(&self, duration: Duration) {
        if let Some(worker) = self.worker.get() {
            worker.round().await.unwrap();
        }
        self.environment.advance(duration);
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with_deadlines(Deadlines::default()).await
    }

    /// Creates a fixture whose worker has these deadlines.
    pub(crate) async fn with_deadlines(deadlines: Deadlines) -> Self {
        let environment = TestEnvironment::new();
        let gateway = FakeSessionControl::new(environment.clone());
        Self::over(environment, gateway, deadlines).await
    }

    /// Creates a fixture with the same node and an empty database.
    pub(crate) async fn with_empty_database(&self) -> Self {
        let (environment, gateway) = (&self.world.environment, &self.world.gateway);
        Self::over(environment.clone(), gateway.clone(), Deadlines::default()).await
    }

    async fn over(
        environment: Arc<TestEnvironment>,
        gateway: FakeSessionControl,
        deadlines: Deadlines,
    ) -> Self {
        let pause =
            Arc::new(WorkingPause { worker: OnceCell::new(), environment: environment.clone() });
        let memory = Memory::new();
        let world =
            World::with_pause(environment.clone(), gateway, memory.clone(), pause.clone()).await;
        let store = Arc::new(memory);
        let ports = Ports {
            worker_store: store.clone(),
            message_removals: store.clone(),
            nodes: store,
            gateway: Arc::new(world.gateway.clone()),
            environment,
            notifier: world.notifier.clone(),
            leases: world.leases.clone(),
            organization_tags: Arc::new(PlainOrganizationTags),
        };
        let worker = Worker::new(ports, deadlines);
        pause.worker.set(worker.clone()).ok().unwrap();
        Self { world, worker }
    }

    /// Lets the node send heartbeats and reports and the worker work, until no row is due.
    pub(crate) async fn settle(&self) {
        for _ in 0..50 {
            self.heartbeat().await;
            self.report().await;
            if self.worker.round().await.unwrap() == 0 {
                return;
            }
        }
        panic!("not settled after 50 rounds: {}", self.world.memory.fingerprint());
    }

    /// Lets time pass second by second. The worker performs a round each second, and the node sends
    /// a heartbeat if `heartbeats` is true.
    pub(crate) async fn pass(&self, seconds: u64, heartbeats: bool) {
        for _ in 0..seconds {
            self.world.environment.advance(Duration::from_secs(1));
            if heartbeats {
                self.heartbeat().await;
            }
            self.worker.round().await.unwrap();
        }
    }

    /// Sends a heartbeat of the node; a node that is not registered registers again.
    pub(crate) async fn heartbeat(&self) {
        let node = self.node().await;
        let held = self.world.gateway.held().into_iter();
        let held: Vec<_> = held.map(|session| domain::HeldSession { session, epoch: 0 }).collect();
        let heartbeat =
            self.world.nodes.heartbeat(&node.id, &node.incarnation, &held, None).await.unwrap();
        match heartbeat {
            domain::HeartbeatOutcome::NotRegistered => {
                // The lease ended before the router marked the node as lost.
                self.world.gateway.expire_lease();
                self.register().await;
            }
            domain::HeartbeatOutcome::Renewed { lost, .. } => {
                for session in &lost {
                    self.world.gateway.release(session);
                }
            }
        }
    }

    /// Registers the node, which then uses its new generation.
    pub(crate) async fn register(&self) {
        self.world.register("gw-test").await;
        self.world.gateway.register(self.node().await.generation);
    }

    /// Starts a new process of the node, which has the keys only.
    pub(crate) async fn restart_node(&self) {
        self.world.gateway.restart();
        self.register().await;
    }

    /// Reports all sessions of the node.
    pub(crate) async fn report(&self) {
        let node = self.node().await;
        let reports: Vec<(SessionId, Snapshot)> = self
            .world
            .gateway
            .held()
            .into_iter()
            .filter_map(|id| self.world.gateway.snapshot(&id).map(|snapshot| (id, snapshot)))
            .collect();
        self.world.nodes.report(&node.id, &node.incarnation, reports).await.unwrap();
    }

    pub(crate) async fn node(&self) -> domain::Node {
        let id = GatewayId::parse("gw-test").unwrap();
        NodeStore::find(&self.world.memory, &id).await.unwrap().unwrap()
    }

    /// Returns the session as its owner sees it.
    pub(crate) async fn view(&self, id: &SessionId) -> Session {
        self.world.sessions.view(&World::acme(), id.as_str()).await.unwrap()
    }

    /// Creates a paired, working session of acme.
    pub(crate) async fn working(&self) -> SessionId {
        let settings = Settings::default();
        let session =
            self.world.sessions.create(&World::acme(), settings, false, None).await.unwrap();
        self.pair(&session.id).await;
        session.id
    }

    /// Links a phone by QR code.
    pub(crate) async fn pair(&self, id: &SessionId) {
        let wait = Duration::from_secs(10);
        let qr = self.world.sessions.qr(&World::acme(), id.as_str(), wait).await.unwrap();
        assert!(self.world.gateway.scan(&qr.text));
        self.report().await;
        assert_eq!(self.view(id).await.observed.status, domain::Status::Working);
    }
}
