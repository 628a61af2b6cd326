//! Two organizations with memory stores. All data of the first contains a canary that must never
//! reach the second.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    api_key::service::ApiKeys,
    browser_session::service::{BrowserSessionLimits, BrowserSessionPorts, BrowserSessions},
    caller::{Actor, Caller, Capabilities, Reach},
    chat::service::Chats,
    deadlines::Deadlines,
    gateway::{
        leases::Leases,
        service::{Nodes, Registration},
    },
    id::{GatewayId, OrganizationId, UserId},
    message::service::Messages,
    messaging::{
        service::{JournalPorts, Journals},
        turns::MessagingTurns,
    },
    outbox::{
        sent::OutboxLimits,
        service::{Outbox, OutboxPorts},
    },
    ports::environment::Environment,
    session::{
        model::Session,
        service::{SessionPorts, Sessions},
        settings::Settings,
    },
    share_link::service::{ReturnOrigins, ShareLinkPorts, ShareLinks},
    testing::{
        environment::TestEnvironment,
        fake_messaging_control::FakeMessagingControl,
        fake_session_control::FakeSessionControl,
        fake_webhook_sender::FakeWebhookSender,
        keys::{PlainKeyGenerator, PlainLinkSecrets},
        memory::state::Memory,
        notifier::{TestNotifier, TestPause},
        plain_sealer::PlainSealer,
    },
    webhook::{
        model::Webhook,
        service::{WebhookPorts, Webhooks},
        settings::WebhookPatch,
    },
};

/// A word in every text of the first organization.
pub const CANARY: &str = "canary";

/// The origin that both organizations allow for return addresses of share links.
pub const RETURN_ORIGIN: &str = "https://return.example";

/// The organizations `acme-canary` and `zeta` with their use cases.
#[derive(Clone)]
pub struct World {
    /// The database.
    pub memory: Memory,
    /// The only node, registered as `gw-test`.
    pub gateway: FakeSessionControl,
    /// The clock.
    pub environment: Arc<TestEnvironment>,
    /// The notifier of the use cases.
    pub notifier: Arc<TestNotifier>,
    /// The deadlines in force.
    pub deadlines: Deadlines,
    /// Leases of the nodes, as the worker last read them.
    pub leases: Arc<Leases>,
    /// Use cases of sessions.
    pub sessions: Sessions,
    /// Use cases of share links.
    pub links: ShareLinks,
    /// Use cases of API keys.
    pub keys: ApiKeys,
    /// Use cases of browser sessions.
    pub browser_sessions: BrowserSessions,
    /// Use cases of nodes.
    pub nodes: Nodes,
    /// Use cases of the journals of nodes.
    pub journals: Journals,
    /// Use cases of readers of chats.
    pub chats: Chats,
    /// Use cases of readers of messages.
    pub messages: Messages,
    /// Use cases of messages to send.
    pub outbox: Outbox,
    /// The node, as it takes messages.
    pub messaging: FakeMessagingControl,
    /// Use cases of webhooks.
    pub webhooks: Webhooks,
    /// The sender of webhook requests.
    pub webhook_sender: FakeWebhookSender,
    /// The sealer of secrets.
    pub sealer: PlainSealer,
}

/// Returns the origins to which links of two organizations may return.
fn return_origins() -> ReturnOrigins {
    let origins = BTreeSet::from([RETURN_ORIGIN.to_owned()]);
    let organizations = ["acme-canary", "zeta"].into_iter().filter_map(OrganizationId::parse);
    organizations.map(|organization| (organization, origins.clone())).collect()
}

impl World {
    /// Creates a world with a registered node. A wait of a use case advances the clock.
    pub async fn new() -> Self {
        let environment = TestEnvironment::new();
        let gateway = FakeSessionControl::new(environment.clone());
        Self::with_pause(environment.clone(), gateway, Memory::new(), environment).await
    }

    /// Creates a world with a registered node. A wait of a use case is this pause, in which a test
    /// can run the reconciler.
    pub async fn with_pause(
        environment: Arc<TestEnvironment>,
        gateway: FakeSessionControl,
        memory: Memory,
        pause: Arc<dyn TestPause>,
    ) -> Self {
        let (store, deadlines) = (Arc::new(memory.clone()), Deadlines::default());
        let (notifier, leases) = (TestNotifier::new(pause), Arc::<Leases>::default());
        let ports = SessionPorts {
            store: store.clone(),
            nodes: store.clone(),
            session_control: Arc::new(gateway.clone()),
            environment: environment.clone(),
            notifier: notifier.clone(),
            leases: leases.clone(),
        };
        let (webhook_sender, sealer) = (FakeWebhookSender::default(), PlainSealer::default());
        let webhooks = WebhookPorts {
            store: store.clone(),
            sessions: store.clone(),
            feed: store.clone(),
            organization_feed: store.clone(),
            sealer: Arc::new(sealer.clone()),
            sender: Arc::new(webhook_sender.clone()),
            render: Arc::new(|event| format!("{:?}", event.payload).into_bytes()),
            environment: environment.clone(),
            notifier: notifier.clone(),
        };
        let nodes = Nodes::new(
            store.clone(),
            store.clone(),
            environment.clone(),
            notifier.clone(),
            deadlines.clone(),
        );
        let turns = MessagingTurns::default();
        let journals = JournalPorts {
            store: store.clone(),
            environment: environment.clone(),
            notifier: notifier.clone(),
            turns: turns.clone(),
        };
        let messaging = FakeMessagingControl::default();
        let outbox = OutboxPorts {
            sessions: store.clone(),
            nodes: store.clone(),
            messages: store.clone(),
            messaging: store.clone(),
            outbox: store.clone(),
            control: Arc::new(messaging.clone()),
            environment: environment.clone(),
            notifier: notifier.clone(),
            leases: leases.clone(),
            turns,
        };
        let links = ShareLinkPorts {
            store: store.clone(),
            directory: store.clone(),
            secrets: Arc::new(PlainLinkSecrets),
            environment: environment.clone(),
            notifier: notifier.clone(),
        };
        let sessions = Sessions::new(ports, deadlines.clone());
        let world = Self {
            links: ShareLinks::new(links, sessions.clone(), return_origins()),
            outbox: Outbox::new(outbox, deadlines.clone(), OutboxLimits::default()),
            messaging,
            journals: Journals::new(journals),
            chats: Chats::new(store.clone()),
            messages: Messages::new(store.clone()),
            sessions,
            browser_sessions: BrowserSessions::new(
                BrowserSessionPorts {
                    store: store.clone(),
                    keys: store.clone(),
                    directory: store.clone(),
                    environment: environment.clone(),
                },
                BrowserSessionLimits::default(),
            ),
            keys: ApiKeys::new(
                store.clone(),
                store,
                Arc::new(PlainKeyGenerator),
                environment.clone(),
            ),
            nodes,
            webhooks: Webhooks::new(webhooks),
            webhook_sender,
            sealer,
            memory,
            gateway,
            environment,
            notifier,
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
            features: vec!["identity".to_owned(), "messages.v1".to_owned()],
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
        self.sessions.create(&Self::acme(), settings, false, None).await.expect("a valid session")
    }

    /// Creates a webhook of the first organization with canaries in all texts.
    pub async fn acme_webhook(&self) -> Webhook {
        let patch = WebhookPatch {
            url: Some(format!("https://{CANARY}.example/{CANARY}?key={CANARY}")),
            headers: [
                (format!("X-{CANARY}"), Some(CANARY.to_owned())),
                ("X-Token".to_owned(), Some(format!("{CANARY} token"))),
            ]
            .into(),
            secret: Some(Some(format!("{CANARY}-secret-of-the-webhook"))),
            ..WebhookPatch::default()
        };
        self.webhooks.create(&Self::acme(), patch, None).await.expect("a valid webhook")
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
        browser_session: None,
    }
}
