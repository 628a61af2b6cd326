//! Two organizations with memory stores. All data of the first contains a canary that must never
//! reach the second.

use std::sync::Arc;

use crate::{
    api_key::service::ApiKeys,
    caller::{Actor, Caller, Capabilities, Reach},
    deadlines::Deadlines,
    gateway::{
        leases::Leases,
        service::{Nodes, Registration},
    },
    id::{GatewayId, OrganizationId, UserId},
    ports::{change_notifier::ChangeNotifier, environment::Environment},
    session::{
        model::Session,
        service::{SessionPorts, Sessions},
        settings::Settings,
    },
    testing::{
        environment::{TestEnvironment, TestNotifier},
        fake_session_control::FakeSessionControl,
        keys::PlainKeyGenerator,
        memory::state::Memory,
    },
};

/// A word in every text of the first organization.
pub const CANARY: &str = "canary";

/// The organizations `acme-canary` and `zeta` with their use cases.
#[derive(Clone)]
pub struct World {
    /// The database.
    pub memory: Memory,
    /// The only node, registered as `gw-test`.
    pub gateway: FakeSessionControl,
    /// The clock.
    pub environment: Arc<TestEnvironment>,
    /// Notifier of the worker.
    pub worker_notifier: Arc<TestNotifier>,
    /// Notifier of waiting requests.
    pub change_notifier: Arc<TestNotifier>,
    /// The deadlines in force.
    pub deadlines: Deadlines,
    /// Leases of the nodes, as the worker last read them.
    pub leases: Arc<Leases>,
    /// Use cases of sessions.
    pub sessions: Sessions,
    /// Use cases of API keys.
    pub keys: ApiKeys,
    /// Use cases of nodes.
    pub nodes: Nodes,
}

impl World {
    /// Creates a world with a registered node.
    pub async fn new() -> Self {
        let environment = TestEnvironment::new();
        let gateway = FakeSessionControl::new(environment.clone());
        let notifier = TestNotifier::new(environment.clone());
        Self::with(environment, gateway, notifier).await
    }

    /// Creates a world with this notifier for waiting requests. A test can run the reconciler
    /// during each wait.
    pub async fn with_changes(
        environment: Arc<TestEnvironment>,
        gateway: FakeSessionControl,
        memory: Memory,
        change_notifier: Arc<dyn ChangeNotifier>,
    ) -> Self {
        let silent = TestNotifier::new(environment.clone());
        Self::build(environment, gateway, memory, silent, change_notifier).await
    }

    async fn with(
        environment: Arc<TestEnvironment>,
        gateway: FakeSessionControl,
        notifier: Arc<TestNotifier>,
    ) -> Self {
        Self::build(environment, gateway, Memory::new(), notifier.clone(), notifier).await
    }

    async fn build(
        environment: Arc<TestEnvironment>,
        gateway: FakeSessionControl,
        memory: Memory,
        notifier: Arc<TestNotifier>,
        change_notifier: Arc<dyn ChangeNotifier>,
    ) -> Self {
        let (store, deadlines) = (Arc::new(memory.clone()), Deadlines::default());
        let (worker_notifier, leases) =
            (TestNotifier::new(environment.clone()), Arc::<Leases>::default());
        let ports = SessionPorts {
            store: store.clone(),
            nodes: store.clone(),
            session_control: Arc::new(gateway.clone()),
            environment: environment.clone(),
            worker_notifier: worker_notifier.clone(),
            change_notifier: change_notifier.clone(),
            leases: leases.clone(),
        };
        let nodes = Nodes::new(
            store.clone(),
            store.clone(),
            environment.clone(),
            worker_notifier.clone(),
            change_notifier,
            deadlines.clone(),
        );
        let world = Self {
            sessions: Sessions::new(ports, deadlines.clone()),
            keys: ApiKeys::new(
                store.clone(),
                store,
                Arc::new(PlainKeyGenerator),
                environment.clone(),
            ),
            nodes,
            memory,
            gateway,
            environment,
            worker_notifier,
            change_notifier: notifier,
            deadlines,
            leases,
        };
        world.register("gw-test").await;
        world
    }

    /// Registers a node with room for 100 sessions.
    pub async fn register(&self, id: &str) {
        let registration = Registration {
            id: GatewayId::parse(id).expect("a valid gateway id"),
            address: "http://127.0.0.1:1".to_owned(),
            incarnation: format!("{id}-{}", self.environment.ulid()),
            version: "test".to_owned(),
            features: vec!["identity".to_owned()],
            capacity: 100,
        };
        self.nodes.register(registration).await.expect("the memory store registers nodes");
    }

    /// Returns an admin of the first organization.
    pub fn acme() -> Caller {
        person("acme-canary", "admin")
    }

    /// Returns an admin of the second organization.
    pub fn zeta() -> Caller {
        person("zeta", "admin")
    }

    /// Returns a member of the first organization, without
    /// [`Capability::Manage`](crate::Capability::Manage).
    pub fn acme_member() -> Caller {
        person("acme-canary", "member")
    }

    /// Creates a session of the first organization with canaries in all texts.
    pub async fn acme_session(&self) -> Session {
        let settings = Settings {
            label: Some(format!("{CANARY} label")),
            metadata: [(format!("{CANARY}-key"), format!("{CANARY} value"))].into(),
            ..Settings::default()
        };
        self.sessions.create(&Self::acme(), settings, false).await.expect("a valid session")
    }
}

fn person(organization: &str, role: &str) -> Caller {
    Caller {
        actor: Actor::User(UserId::parse(&format!("user-of-{organization}"))),
        organization: OrganizationId::parse(organization),
        capabilities: Capabilities::of_role(role),
        reach: Reach::Everything,
        platform_admin: false,
        expires_at: None,
    }
}
