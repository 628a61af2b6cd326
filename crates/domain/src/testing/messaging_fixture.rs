//! A linked session of a new organization, with the use cases of its messages and a node that
//! delivers.

use std::sync::Arc;

use crate::{
    access::Scope,
    caller::{Caller, Capability, Reach},
    chat::service::Chats,
    event::{Event, payload::EventPayload},
    feed::{filter::FeedRights, position::FeedPosition},
    id::{GatewayId, OrganizationId, OutboxId, SessionId, WaMessageId},
    message::{
        address::ChatAddress,
        details::MessageDetails,
        kind::{MessageKind, MessageSource},
        list::MessageFilter,
        service::{MessageQuery, Messages, ShownMessage},
    },
    messaging::{
        journal::{
            AddressPair, InboundMessage, InboundReceipt, JournalDelivery, JournalFact, JournalItem,
            MessageOrigin, ReceiptLevel, ServerAck, UndecryptableMessage,
        },
        service::{JournalPorts, Journals, TakenJournal},
        turns::MessagingTurns,
    },
    ports::{
        environment::Environment,
        store::{
            feed::{Feed, OrganizationFeed},
            messages::MessageStore,
            messaging::MessagingStore,
            sessions::SessionStore,
            written::Written,
        },
    },
    session::{model::Session, pairing::Identity, settings::Settings},
    testing::{
        environment::TestEnvironment,
        notifier::TestNotifier,
        writes::{insert_session, update_session},
    },
    time::Timestamp,
};

/// The stores that tests of messages need.
pub trait MessagingTestStore:
    MessagingStore + MessageStore + SessionStore + Feed + OrganizationFeed + 'static
{
}

impl<S> MessagingTestStore for S where
    S: MessagingStore + MessageStore + SessionStore + Feed + OrganizationFeed + 'static
{
}

/// A linked session with its messages.
pub struct MessagingFixture<S> {
    /// The store.
    pub store: Arc<S>,
    /// The clock.
    pub environment: Arc<TestEnvironment>,
    /// Use cases of journals.
    pub journals: Journals,
    /// Use cases of messages.
    pub messages: Messages,
    /// Use cases of chats.
    pub chats: Chats,
    /// A caller with all rights in the organization.
    pub caller: Caller,
    /// The session.
    pub session: Session,
    sequence: std::sync::atomic::AtomicU64,
}

/// Phone number of the linked account.
pub const ACCOUNT: &str = "15550000001";
/// Name of the journal.
pub const JOURNAL: &str = "first";

/// Returns an address by phone number.
pub fn phone(digits: &str) -> ChatAddress {
    ChatAddress::Phone(digits.to_owned())
}

/// Returns an address by private number.
pub fn lid(digits: &str) -> ChatAddress {
    ChatAddress::Lid(digits.to_owned())
}

/// Returns addresses without a second one.
pub fn alone(used: ChatAddress) -> AddressPair {
    AddressPair { used, other: None }
}

/// Returns two addresses of one person.
pub fn both(used: ChatAddress, other: ChatAddress) -> AddressPair {
    AddressPair { used, other: Some(other) }
}

impl<S: MessagingTestStore> MessagingFixture<S> {
    /// Inserts a linked session of a new organization.
    pub async fn new(store: Arc<S>, environment: Arc<TestEnvironment>) -> Self {
        let name = format!("org-{}", environment.ulid());
        let organization = OrganizationId::parse(&name).expect("a valid organization id");
        Self::in_organization(store, environment, organization).await
    }

    /// Inserts a linked session of an organization.
    pub async fn in_organization(
        store: Arc<S>,
        environment: Arc<TestEnvironment>,
        organization: OrganizationId,
    ) -> Self {
        let caller = Caller::operator(organization.clone());
        let scope = caller.may(Capability::Manage).expect("may manage");
        let session = Session::new(organization, None, Settings::default(), &*environment);
        let commit = session.created().into_commit(scope.actor(), &*environment);
        let session = commit.change.session;
        let written = insert_session(&*store, &scope, &session, &commit.events, None).await;
        assert_eq!(written.expect("insert"), Ok(Written::Done));
        let session = link(&*store, &scope, session).await;
        let ports = JournalPorts {
            store: store.clone(),
            environment: environment.clone(),
            notifier: TestNotifier::new(environment.clone()),
            turns: MessagingTurns::default(),
        };
        Self {
            journals: Journals::new(ports),
            messages: Messages::new(store.clone()),
            chats: Chats::new(store.clone()),
            store,
            environment,
            caller,
            session,
            sequence: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// Returns a scope of the organization.
    pub fn scope(&self) -> Scope {
        self.caller.may(Capability::Read).expect("may read")
    }

    /// Returns the id of the session.
    pub fn id(&self) -> &SessionId {
        &self.session.id
    }

    /// Returns an item with the next sequence number.
    pub fn item(&self, fact: JournalFact) -> JournalItem {
        let sequence = 1 + self.sequence.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        JournalItem { sequence, at: self.environment.now(), fact }
    }

    /// Delivers items of the node of the session.
    pub async fn deliver(&self, items: Vec<JournalItem>) -> TakenJournal {
        let delivery = JournalDelivery { session: self.session.id.clone(), items };
        let taken = self.journals.take(&node(), JOURNAL, vec![delivery]).await;
        let taken = taken.expect("the store is there");
        assert!(taken.refused.is_empty(), "{:?}", taken.refused);
        taken
    }

    /// Delivers facts, each as an item of its own.
    pub async fn deliver_facts(&self, facts: impl IntoIterator<Item = JournalFact>) {
        let items: Vec<_> = facts.into_iter().map(|fact| self.item(fact)).collect();
        let last = items.last().map(|item| item.sequence);
        let taken = self.deliver(items).await;
        assert_eq!(taken.through.get(self.id()).copied(), last);
    }

    /// Returns a text of a partner in a chat of two.
    pub fn text(&self, chat: AddressPair, wa_id: &str, body: &str) -> JournalFact {
        let message = InboundMessage {
            origin: self.origin(chat, wa_id, MessageSource::Contact),
            kind: MessageKind::Text,
            details: MessageDetails { body: Some(body.to_owned()), ..MessageDetails::default() },
            content: None,
            forwarded: false,
            view_once: false,
            ephemeral_seconds: 0,
            offline: false,
        };
        JournalFact::Message(Box::new(message))
    }

    /// Returns a text that the account sent from its phone.
    pub fn own_text(&self, chat: AddressPair, wa_id: &str, body: &str) -> JournalFact {
        let JournalFact::Message(mut message) = self.text(chat.clone(), wa_id, body) else {
            unreachable!("a message")
        };
        message.origin = self.origin(chat, wa_id, MessageSource::Phone);
        JournalFact::Message(message)
    }

    /// Returns a message of a partner that cannot be decrypted.
    pub fn undecryptable(&self, chat: AddressPair, wa_id: &str) -> JournalFact {
        let origin = self.origin(chat, wa_id, MessageSource::Contact);
        let reason = "decryption".to_owned();
        JournalFact::Undecryptable(Box::new(UndecryptableMessage { origin, reason, hidden: false }))
    }

    /// Returns the origin of a message of now.
    pub fn origin(&self, chat: AddressPair, wa_id: &str, source: MessageSource) -> MessageOrigin {
        MessageOrigin {
            wa_id: WaMessageId::cleaned(wa_id),
            sender: (!source.is_own()).then(|| chat.clone()),
            chat,
            sender_name: (!source.is_own()).then(|| "Anna".to_owned()),
            source,
            sent_at: self.environment.now(),
        }
    }

    /// Returns a receipt for one message.
    pub fn receipt(&self, chat: AddressPair, wa_id: &str, level: ReceiptLevel) -> JournalFact {
        JournalFact::Receipt(InboundReceipt {
            chat,
            participant: None,
            wa_ids: vec![WaMessageId::cleaned(wa_id)],
            level,
            at: self.environment.now(),
        })
    }

    /// Returns WhatsApp's answer to a message of berth.
    pub fn ack(&self, outbox: &OutboxId, wa_id: &WaMessageId, refusal: Option<u16>) -> JournalFact {
        let (outbox, wa_id, at) = (outbox.clone(), wa_id.clone(), self.environment.now());
        JournalFact::Ack(ServerAck { outbox, wa_id, at, refusal })
    }

    /// Returns the newest messages of all chats, at most `limit`.
    pub async fn newest(&self, limit: u32) -> Vec<ShownMessage> {
        let query = MessageQuery { filter: MessageFilter::default(), after: None, limit };
        let listed = self.messages.list(&self.caller, self.id().as_str(), &query).await;
        listed.expect("the store is there")
    }

    /// Returns the events of the session's stream `messages`, oldest first.
    pub async fn events(&self) -> Vec<Event> {
        let rights = FeedRights::of(&self.caller).expect("may read");
        let until = self.store.horizon().await.expect("the horizon").safe;
        let page = self.store.feed_page(&rights, FeedPosition::START, until, 100_000).await;
        let events = page.expect("a page").expect("nothing is removed").events;
        events
            .into_iter()
            .map(|found| found.event)
            .filter(|event| event.session.as_ref() == Some(self.id()))
            .filter(|event| event.stream() == crate::event::stream::EventStream::Messages)
            .collect()
    }

    /// Returns the payloads of [`Self::events`], whose sequence numbers have no gap.
    pub async fn payloads(&self) -> Vec<EventPayload> {
        let events = self.events().await;
        let numbers: Vec<_> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(numbers, (1..).take(events.len()).collect::<Vec<u64>>());
        events.into_iter().map(|event| event.payload).collect()
    }

    /// Returns a caller of another organization with all rights, and one of this organization that
    /// reaches another session only.
    pub fn callers_without_access(&self) -> [Caller; 2] {
        let other = OrganizationId::parse("other-organization").expect("a valid organization id");
        let mut confined = self.caller.clone();
        confined.reach = Reach::Only([SessionId::from_bits(self.environment.ulid())].into());
        [Caller::operator(other), confined]
    }
}

/// Returns the node of the session.
pub fn node() -> GatewayId {
    GatewayId::parse("gw-test").expect("a valid gateway id")
}

/// Links the account to a session, on the node.
pub(super) async fn link(store: &impl SessionStore, scope: &Scope, session: Session) -> Session {
    let (expected, mut linked) = (session.expected_version(), session);
    linked.gateway = Some(node());
    linked.observed.status = crate::session::status::Status::Working;
    linked.spec.desired = crate::session::spec::Desired::Running;
    linked.observed.identity = Some(Identity {
        phone: ACCOUNT.to_owned(),
        jid: format!("{ACCOUNT}:3@s.whatsapp.net"),
        lid: None,
        device: 3,
        push_name: None,
    });
    linked.version.0 += 1;
    let events = [];
    let written = update_session(store, scope, &linked, expected, &events, None).await;
    assert_eq!(written.expect("update"), Ok(Written::Done));
    linked
}

/// Returns a time before now.
pub fn before(environment: &TestEnvironment, millis: i64) -> Timestamp {
    Timestamp::from_millis(environment.now().millis() - millis)
}
