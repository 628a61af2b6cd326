//! Two organizations over memory stores. Everything of the first is marked with a canary that must
//! never reach the second.

use std::sync::Arc;

use super::{FakeSessionControl, Memory, PlainKeyGenerator, TestEnvironment, TestNotifier};
use crate::{
    Actor, ApiKeys, Caller, Capabilities, Deadlines, GatewayId, Leases, Nodes, OrganizationId,
    Reach, Registration, Session, SessionPorts, Sessions, Settings, UserId,
    ports::{ChangeNotifier, Environment},
};

/// A word in every text of the first organization.
pub const CANARY: &str = "canary";

/// Two organizations, `acme-canary` and `zeta`, and everything they need.
#[derive(Clone)]
pub struct World {
    /// What is remembered.
    pub memory: Memory,
    /// The one node, enlisted as `gw-test`.
    pub gateway: FakeSessionControl,
    /// The clock.
    pub environment: Arc<TestEnvironment>,
    /// The reconciler's bell.
    pub worker_notifier: Arc<TestNotifier>,
    /// The bell of whoever waits.
    pub change_notifier: Arc<TestNotifier>,
    /// The deadlines in force.
    pub deadlines: Deadlines,
    /// Until when the node's lease runs, as the worker last read it.
    pub leases: Arc<Leases>,
    /// The use cases of sessions.
    pub sessions: Sessions,
    /// The use cases of keys.
    pub keys: ApiKeys,
    /// The nodes' side.
    pub nodes: Nodes,
}

impl World {
    /// A fresh world, its node enlisted.
    pub async fn new() -> Self {
        let environment = TestEnvironment::new();
        let gateway = FakeSessionControl::new(environment.clone());
        let notifier = TestNotifier::new(environment.clone());
        Self::with(environment, gateway, notifier).await
    }

    /// A world whose waiting callers wait at this bell instead of a silent one: a test can have the
    /// reconciler act whenever somebody waits.
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

    /// A node with room for a hundred sessions enlists.
    pub async fn register(&self, id: &str) {
        let registration = Registration {
            id: GatewayId::parse(id).expect("a gateway's name"),
            address: "http://127.0.0.1:1".to_owned(),
            incarnation: format!("{id}-{}", self.environment.ulid()),
            version: "test".to_owned(),
            features: vec!["identity".to_owned()],
            capacity: 100,
        };
        self.nodes.register(registration).await.expect("the memory store enlists");
    }

    /// An admin of the first organization.
    pub fn acme() -> Caller {
        person("acme-canary", "admin")
    }

    /// An admin of the second organization.
    pub fn zeta() -> Caller {
        person("zeta", "admin")
    }

    /// A member of the first organization, who may not manage.
    pub fn acme_member() -> Caller {
        person("acme-canary", "member")
    }

    /// A new session of the first organization, full of canaries.
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
    }
}
