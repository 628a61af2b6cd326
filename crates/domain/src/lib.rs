//! WhatsApp sessions of many organizations: the model, the isolation rule, and the ports.
//!
//! [`Caller::may`](access) returns a [`Scope`], and every lookup requires a scope. A row out of the
//! scope is *not found*: missing, deleted, foreign and out of reach are one code path and one
//! answer. Use cases ([`Sessions`], [`ApiKeys`], [`Nodes`]) reach the outside through [`ports`]
//! only.
//!
//! Another service that stores data per organization reuses the rule:
//!
//! ```
//! use domain::{Actor, Capabilities, Caller, Capability, Error, OrganizationId, Reach, Result};
//! use domain::{Scope, SessionId, or_not_found};
//!
//! /// A template belongs to one session of one organization.
//! struct Template { organization: OrganizationId, session: SessionId, text: String }
//!
//! /// Stands for a table. The scope is part of the lookup, as it is part of a WHERE clause.
//! fn find<'a>(all: &'a [Template], scope: &Scope, session: &SessionId) -> Option<&'a Template> {
//!     all.iter().find(|t| t.session == *session && scope.covers(&t.organization, &t.session))
//! }
//!
//! /// Forbidden before every lookup, not found for every row out of the caller's scope.
//! fn text<'a>(all: &'a [Template], caller: &Caller, session: &SessionId) -> Result<&'a str> {
//!     let scope = caller.may(Capability::Read)?;
//!     Ok(&or_not_found("template", find(all, &scope, session))?.text)
//! }
//!
//! let caller = |organization: &str, role: &str| Caller {
//!     actor: Actor::User(None),
//!     organization: OrganizationId::parse(organization),
//!     capabilities: Capabilities::of_role(role),
//!     reach: Reach::Everything,
//!     platform_admin: false,
//!     expires_at: None,
//!     browser_session: None,
//! };
//! let (session, text_of) = (SessionId::from_bits(1), "Dear customer");
//! let organization = OrganizationId::parse("acme").unwrap();
//! let all = [Template { organization, session: session.clone(), text: text_of.into() }];
//! assert_eq!(text(&all, &caller("acme", "member"), &session).unwrap(), text_of);
//! for id in [session, SessionId::from_bits(2)] {
//!     let answer = text(&all, &caller("zeta", "owner"), &id);
//!     assert!(matches!(answer, Err(Error::NotFound { noun: "template" })));
//! }
//! ```
//!
//! The crate must not know HTTP, SQL, JSON, tokio, logging, the real clock or the WhatsApp
//! protocol.
//!
//! Modules import from modules. The flat re-exports below are for other crates.

pub mod access;
mod api_key;
mod audit;
mod browser_session;
mod caller;
mod chat;
mod cleanup;
pub mod commit;
mod deadlines;
mod erasure;
mod error;
mod event;
mod feed;
pub mod gateway;
mod id;
mod idempotency;
mod link_attempt;
mod message;
mod messaging;
mod operators;
mod orphan;
mod outbox;
pub mod ports;
mod rate_quota;
pub mod reconcile;
mod resource_quota;
mod session;
mod share_link;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod violation;
mod webhook;

pub use access::{Scope, or_not_found};
pub use api_key::{
    model::ApiKey,
    service::{ApiKeys, KeySpec, MAX_KEY_SESSIONS, NO_SUCH_SESSION, NewApiKey},
    write::KeyWrite,
};
pub use audit::Audit;
pub use browser_session::{
    digest::BrowserSessionDigest,
    model::{BrowserSession, BrowserSessionHolder, LoginClaims, SignIn},
    service::{BrowserSessionLimits, BrowserSessionPorts, BrowserSessions},
};
pub use caller::{Actor, Caller, Capabilities, Capability, Reach};
pub use chat::{
    model::{Chat, ChatId, ChatKind, ChatTimer},
    service::{ChatQuery, Chats, ShownChat},
};
pub use cleanup::Cleanup;
pub use commit::{Commit, SystemCommit};
pub use deadlines::{Deadlines, back_off};
pub use erasure::service::{ErasedKind, Erasure, ErasurePorts, ErasureStep};
pub use error::{Error, Result};
pub use event::{
    Event,
    field_spec::{EventFieldShape, EventFieldSpec, EventFieldType},
    fields::{EventFields, EventValue, Omittable},
    message_fields::{EventFailure, EventLevel, EventMedia, EventQuote},
    payload::{EventName, EventPayload},
    stream::EventStream,
};
pub use feed::{
    filter::{EventPattern, FeedFilter, FeedRights, MAX_EVENT_PATTERNS, MAX_FILTER_SESSIONS},
    position::{FeedEvent, FeedFloor, FeedHorizon, FeedPage, FeedPosition},
};
pub use gateway::{
    leases::Leases,
    node::{HeldSession, Node},
    service::{HeartbeatOutcome, Lease, Nodes, RefusedReport, Registration, ReportOutcome},
};
pub use id::{
    AttemptId, EventId, GatewayId, KeyId, LinkId, OrganizationId, OutboxId, SessionId, UserId,
    WaMessageId, WebhookId,
};
pub use idempotency::{IdempotencyKeyHash, IdempotencyRecord, RecordResponse, Recorder};
pub use link_attempt::{LinkAttempt, MAX_LINK_ATTEMPTS_PER_HOUR};
pub use message::{
    address::ChatAddress,
    details::{AddonTarget, MediaInfo, MessageDetails, QuotedMessage},
    kind::{MessageDirection, MessageKind, MessageSource},
    list::{ChatFilter, MessageFilter},
    message_id::MessageId,
    model::{Message, MessageFlags, MessageSender},
    reference::ChatReference,
    removal::{MessageCutoffs, MessageRemoval},
    retention::MessageRetention,
    service::{MessageNarrowing, MessageQuery, Messages, ShownMessage},
    state::{AckLevel, FailureReason, MessageFailure, MessageState, MessageStatus},
};
pub use messaging::{
    change::{
        AcceptanceKey, ChatMerge, MessageUpdate, MessagingChange, MessagingCommit, NewOutboxEntry,
        RecoveredContent,
    },
    journal::{
        AddressPair, ContactFact, InboundMessage, InboundReceipt, JournalDelivery, JournalFact,
        JournalItem, JournalName, MessageOrigin, ReceiptLevel, SendOutcome, SendResult, ServerAck,
        TimerFact, UndecryptableMessage,
    },
    service::{JournalPorts, Journals, RefusedDelivery, TakenJournal},
    state::{
        ChatName, ChatNameText, MessageHeader, MessagingLookup, MessagingState, SessionMessaging,
    },
    turns::MessagingTurns,
};
pub use operators::{OperatedNode, Operators};
pub use orphan::{model::Orphan, service::Orphans};
pub use outbox::{
    message_field::MessageField,
    model::{OutboxEntry, OutboxState},
    pace::HandOverTimes,
    request::{MAX_MESSAGE_REFERENCE, MAX_TEXT_BYTES, MAX_TYPING_MILLIS, NewMessage},
    sent::{OutboxLimits, SendMode, SentMessage},
    service::{Outbox, OutboxPorts},
};
pub use rate_quota::RateQuota;
pub use resource_quota::{Quotas, Resource, ResourceLimitReached, ResourceLimits};
pub use session::{
    change::Change,
    figures::{EndReason, PairingOutcome, SessionFigure},
    message_storage::MessageStorage,
    model::Session,
    observed::{LinkState, LiveIdentity, Observed, Snapshot, SnapshotReason},
    pairing::{Attempt, Identity, PairingCode, PairingSpec, Phone, QrCode},
    partial_session::PartialSession,
    service::{SessionIdentity, SessionPorts, Sessions},
    settings::{
        DEFAULT_RATE_PER_HOUR, DEFAULT_RATE_PER_MIN, DEFAULT_RETENTION_DAYS, MAX_LABEL,
        MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE, MAX_RATE, MAX_RETENTION_DAYS, Settings,
        SettingsPatch,
    },
    settings_field::SettingsField,
    spec::{Declaration, Desired, RequestedAction, Spec},
    status::{ReasonCode, Status, StatusReason},
    unlink::{LogoutOutcome, UnlinkRequest},
    version::{DueAsRead, ExpectedVersion, StoredVersion, Version},
    write::{SessionUpdate, SessionWrite},
};
pub use share_link::{
    method::LinkMethod,
    model::{
        ENDED_LINK_RETENTION, LinkEnd, LinkOpening, LinkOutcome, MAX_LINK_PAIRINGS, ReturnTarget,
        ShareLink, ShareLinkState,
    },
    pairing_end::{commit_with_links, links_to_end},
    progress::LinkProgress,
    redemption::OpenedLink,
    revocation_cause::RevocationCause,
    service::{MAX_LIVE_LINKS, NewShareLink, ReturnOrigins, ShareLinkPorts, ShareLinks},
    spec::{
        DEFAULT_LINK_LIFE, MAX_LINK_LIFE, MAX_LINK_TITLE, MAX_RETURN_ADDRESS, MIN_LINK_LIFE,
        ShareLinkSpec,
    },
    write::{ShareLinkChange, ShareLinkWrite},
};
pub use time::Timestamp;
pub use violation::{FieldPath, Violation};
pub use webhook::{
    attempt::{AttemptOutcome, AttemptRecord, OutcomeClass},
    credentials::{NO_SEAL_KEY, PREVIOUS_SECRET_SIGNS},
    dead_letter::{DeadLetter, MAX_DEAD_LETTERS},
    delivery::{
        attempts::{AttemptKind, MAX_AT_RISK, MAX_IN_FLIGHT, StartedAttempt},
        changes::DeliveryChanges,
        deliveries::{Deliveries, MAX_RETRY_QUEUES},
        event_queue::QueuedEvent,
        lease::{
            Claimed, DeliveryFlush, DeliveryLease, LEASE, LeaseChange, LeaseClaim, LeasedWebhook,
            MIN_LEASE_FOR_ATTEMPT, RENEWAL_INTERVAL, WebhookKey,
        },
        lookup::{EventLookup, LookupRange},
        retry_queue::{OrderingKey, Pass, RetryQueue},
    },
    disabled_reason::DisabledReason,
    event_selection::EventSelection,
    field::WebhookField,
    model::{
        CustomHeaders, HeaderPair, PreviousSecret, Webhook, WebhookSecrets, WebhookSettings,
        WebhookUrlText,
    },
    progress::{Breaker, DeliveryProgress, ProgressReport, RetrySummary, SEALED},
    replay::{Replay, ReplaySpec},
    reports::{MAX_LAG, WebhookCondition, WebhookState},
    retry_policy::{
        Backoff, Jitter, MAX_ATTEMPTS, MAX_DELAY_SECONDS, MAX_RETRY_DELAY, RetryPolicy,
    },
    service::{WebhookPorts, Webhooks},
    settings::{MASKED, RetryPolicyPatch, WebhookPatch},
    write::WebhookWrite,
};
