//! A linked session whose messages a fake node takes.

use std::sync::Arc;

use crate::{
    caller::Capability,
    deadlines::Deadlines,
    gateway::{
        leases::Leases,
        service::{Nodes, Registration},
    },
    id::SessionId,
    message::{reference::ChatReference, service::ShownMessage},
    messaging::{change::AcceptanceKey, turns::MessagingTurns},
    outbox::{
        request::NewMessage,
        sent::{OutboxLimits, SendMode, SentMessage},
        service::{Outbox, OutboxPorts},
    },
    ports::{
        environment::Environment,
        messaging_control::OutboundMessage,
        store::{
            nodes::{NodeStore, OrphanStore},
            outbox::{DueOutbox, OutboxStore},
            worker::{Claim, WorkerStore},
        },
    },
    session::{model::Session, settings::Settings},
    testing::{
        environment::TestEnvironment,
        fake_messaging_control::FakeMessagingControl,
        messaging_fixture::{MessagingFixture, MessagingTestStore, node},
        notifier::TestNotifier,
        writes::update_session,
    },
};

/// The stores that tests of the outbox need.
pub trait OutboxTestStore:
    MessagingTestStore + OutboxStore + NodeStore + OrphanStore + WorkerStore
{
}

impl<S> OutboxTestStore for S where
    S: MessagingTestStore + OutboxStore + NodeStore + OrphanStore + WorkerStore
{
}

/// A linked session with its messages to send.
pub struct OutboxFixture<S> {
    /// The session and what arrives at it.
    pub inbound: MessagingFixture<S>,
    /// Use cases of messages to send.
    pub outbox: Outbox,
    /// The node.
    pub control: FakeMessagingControl,
}

impl<S: OutboxTestStore> OutboxFixture<S> {
    /// Inserts a linked session of a new organization, and its node.
    pub async fn new(store: Arc<S>, environment: Arc<TestEnvironment>) -> Self {
        Self::with_limits(store, environment, OutboxLimits::default()).await
    }

    /// As [`Self::new`], with these limits.
    pub async fn with_limits(
        store: Arc<S>,
        environment: Arc<TestEnvironment>,
        limits: OutboxLimits,
    ) -> Self {
        let inbound = MessagingFixture::new(store.clone(), environment.clone()).await;
        let notifier = TestNotifier::new(environment.clone());
        let control = FakeMessagingControl::default();
        let ports = OutboxPorts {
            sessions: store.clone(),
            nodes: store.clone(),
            messages: store.clone(),
            messaging: store.clone(),
            outbox: store.clone(),
            control: Arc::new(control.clone()),
            environment: environment.clone(),
            notifier,
            leases: Arc::<Leases>::default(),
            turns: MessagingTurns::default(),
        };
        let deadlines = Deadlines::default();
        let fixture = Self { inbound, outbox: Outbox::new(ports, deadlines, limits), control };
        fixture.renew_lease().await;
        fixture
    }

    /// Begins a lease of the node.
    pub async fn renew_lease(&self) {
        let (store, environment) = (&self.inbound.store, &self.inbound.environment);
        let registration = Registration {
            id: node(),
            address: "http://127.0.0.1:1".to_owned(),
            incarnation: format!("node-{}", environment.ulid()),
            version: "test".to_owned(),
            features: vec!["messages.v1".to_owned()],
            capacity: 100,
        };
        let notifier = TestNotifier::new(environment.clone());
        let deadlines = Deadlines::default();
        let nodes =
            Nodes::new(store.clone(), store.clone(), environment.clone(), notifier, deadlines);
        nodes.register(registration).await.expect("the store registers nodes");
    }

    /// Changes the settings of the session.
    pub async fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.update(|session| change(&mut session.settings)).await;
    }

    async fn update(&self, change: impl FnOnce(&mut Session)) {
        let store = &*self.inbound.store;
        let found = WorkerStore::find(store, self.id()).await.expect("the store is there");
        let mut session = found.expect("the session");
        let expected = session.expected_version();
        change(&mut session);
        session.version.0 += 1;
        let scope = self.inbound.caller.may(Capability::Manage).expect("may manage");
        let written = update_session(store, &scope, &session, expected, &[], None).await;
        assert!(written.expect("an update").is_ok());
    }

    /// Returns the id of the session.
    pub fn id(&self) -> &SessionId {
        self.inbound.id()
    }

    /// Accepts a message without waiting.
    pub async fn accept(&self, to: &str, text: &str) -> SentMessage {
        self.try_accept(&request(to, text), None).await.expect("accepted")
    }

    /// Accepts a message without waiting, or returns the error.
    ///
    /// # Errors
    /// Those of the use case.
    pub async fn try_accept(
        &self,
        message: &NewMessage,
        key: Option<AcceptanceKey>,
    ) -> crate::Result<SentMessage> {
        let (caller, session) = (&self.inbound.caller, self.id().as_str());
        self.outbox.send(caller, session, message, SendMode::Async, key).await
    }

    /// Returns the session as a claim does.
    pub fn due(&self) -> DueOutbox {
        let organization = self.inbound.session.organization.clone();
        DueOutbox { organization, session: self.id().clone() }
    }

    /// Returns whether the outbox of the session is due, and claims it.
    pub async fn claim(&self) -> bool {
        let now = self.inbound.environment.now();
        let until = now.plus(std::time::Duration::from_secs(60));
        let due = self.outbox.claim(&Claim::new(now, until, 10_000)).await.expect("a claim");
        due.iter().any(|due| due.session == *self.id())
    }

    /// Dispatches the outbox of the session; returns what the node got.
    pub async fn dispatch(&self) -> Vec<OutboundMessage> {
        self.outbox.dispatch(self.id()).await.expect("a dispatch");
        self.control.take_handed().into_iter().map(|(_, message)| message).collect()
    }

    /// Delivers WhatsApp's answer to a message.
    pub async fn answer(&self, message: &OutboundMessage, refusal: Option<u16>) {
        let outbox = crate::id::OutboxId::parse(&message.outbox).expect("an id");
        let wa_id = crate::id::WaMessageId::parse(&message.wa_id).expect("an id");
        self.inbound.deliver_facts([self.inbound.ack(&outbox, &wa_id, refusal)]).await;
    }

    /// Returns the messages of the session, newest first.
    pub async fn all(&self) -> Vec<ShownMessage> {
        self.inbound.newest(1_000).await
    }

    /// Links another account.
    pub async fn relink(&self, phone: &str) {
        self.update(|session| {
            if let Some(identity) = &mut session.observed.identity {
                phone.clone_into(&mut identity.phone);
            }
        })
        .await;
    }

    /// Returns the chats' messages of an earlier account, newest first.
    pub async fn all_of(&self, account: &str) -> Vec<ShownMessage> {
        let mut all = self.all().await;
        all.retain(|shown| shown.account == account);
        all
    }
}

/// Returns a request to send a text.
pub fn request(to: &str, text: &str) -> NewMessage {
    NewMessage {
        to: ChatReference::parse(to).expect("a receiver"),
        text: text.to_owned(),
        expires_at: None,
        typing_millis: Some(0),
        reference: Some(text.to_owned()),
    }
}

/// Returns the texts of messages to a node.
pub fn texts(messages: &[OutboundMessage]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_str()).collect()
}
