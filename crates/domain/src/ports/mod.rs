//! Ports: the dependencies of the domain. One file describes one kind of dependency.
//!
//! A store fails only with [`PortError`]. Absence is an `Option`, a lost race is a value of [`Written`],
//! and a full quota is a [`Rejection`]. The control of sessions fails with [`GatewayError`], and
//! authentication with [`Refused`].

pub(crate) mod authn;
pub(crate) mod environment;
pub(crate) mod error;
pub(crate) mod link_secrets;
pub(crate) mod messaging_control;
pub(crate) mod notify;
pub(crate) mod seal;
pub(crate) mod session_control;
pub(crate) mod store;
pub(crate) mod webhook_sender;

pub use authn::{Authenticator, Credential, GeneratedKey, KeyGenerator, PresentedKey, Refused};
pub use environment::{Environment, OrganizationTags};
pub use error::{BoxError, PortError, PortResult};
pub use link_secrets::{GeneratedSecret, LinkSecrets, PresentedLink};
pub use messaging_control::{
    ChatActivity, ContactCheck, HandOver, HandOverOutcome, HandOverRefusal, MessagingControl,
    NodeCancellation, NodeMessageState, OutboundMessage, OutboundMessages, ReadMessages,
};
pub use notify::{Notification, Notifier, Subscription, Topic, VersionLookup};
pub use seal::{SealContext, SealError, SealedSecret, SecretSealer};
pub use session_control::{GatewayError, SessionControl};
pub use store::{
    browser_sessions::BrowserSessionStore,
    data_keys::{DataKey, DataKeyStore},
    deliveries::DeliveryStore,
    erasure::{ErasedRows, ErasureStore},
    events::{EventFilter, EventLog, EventPage},
    feed::{Feed, OrganizationFeed},
    idempotency::IdempotencyStore,
    keys::{ApiKeyStore, KeyDirectory, KeyPage, KeyValidity},
    message_retention::{CutoffRule, MessageRetentionStore, RemovedSlice},
    messages::{ChatPage, MessagePage, MessageStore},
    messaging::MessagingStore,
    nodes::{NodeStore, OrphanStore},
    outbox::{DueOutbox, KeyedEntry, OutboxStore, WaitingMessages},
    position::Position,
    sessions::{OperatorStore, SessionFilter, SessionPage, SessionStore},
    share_links::{ShareLinkDirectory, ShareLinkPage, ShareLinkStore},
    tickets::{TicketDigest, TicketStore},
    webhooks::{WebhookPage, WebhookStore},
    worker::{Claim, SystemWrite, WorkerStore},
    written::{CommitOutcome, Rejection, Written},
};
pub use webhook_sender::{
    CheckedHeader, EventRenderer, WebhookCredentials, WebhookRequest, WebhookSender,
};
