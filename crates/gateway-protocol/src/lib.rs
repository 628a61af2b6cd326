//! The gateway protocol: the messages between router and node, over HTTP, as serde types.
//!
//! Messages are JSON; requests carry a bearer token. Every request may be repeated. Every command carries
//! the `epoch` of the session, and a node refuses an older epoch with [`RefusalCode::StaleEpoch`], so a
//! delayed command cannot undo a newer one.
//!
//! Router → node: `PUT /node/v1/sessions/{session}` with a [`Declaration`] answers a [`Snapshot`];
//! `POST /node/v1/sessions/{session}:logout` with a [`Logout`] answers [`LoggedOut`];
//! `DELETE /node/v1/sessions/{session}?epoch=N` closes the session, wipes its keys and answers 204, also
//! when the node does not know the session; `GET /node/v1/sessions/{session}` and `GET /node/v1/sessions` answer
//! snapshots ([`Snapshots`]); `GET /node/v1/sessions/{session}/identity` answers a [`LiveIdentity`];
//! `POST /node/v1/sessions/{session}/messages` with [`SendMessages`] answers [`MessagesTaken`];
//! `DELETE /node/v1/sessions/{session}/messages/{outbox}?epoch=N` answers [`Cancelled`];
//! `POST /node/v1/sessions/{session}:ask` with an [`Ask`] answers an [`Answer`];
//! `GET /node/v1/health` answers [`Health`].
//!
//! Node → router: `POST /node/v1/gateways/{gateway}:enlist` with [`Register`] answers [`Registered`];
//! `POST …:beat` with [`Heartbeat`] answers [`HeartbeatAnswer`]; `POST …:report` with [`Reports`] answers 204 when
//! all reports are durable, or 200 and [`Reported`] when the router cannot store some of them; `POST …:deliver`
//! with [`Deliveries`] answers [`Delivered`] when the items are durable.
//!
//! Errors are a [`Refusal`] with a 4xx or 5xx status. Times are Unix milliseconds.
//!
//! Decision: ADR 0001.

mod base64_bytes;
mod commands;
mod fleet_secret;
mod journal;
mod membership;
mod message_item;
mod messaging;
mod snapshot;
mod trace_parent;

pub use base64_bytes::Base64Bytes;
pub use commands::{
    Declaration, LiveIdentity, LoggedOut, Logout, LogoutOutcome, PairingSpec, Refusal, RefusalCode,
};
pub use fleet_secret::{FleetSecret, InvalidFleetSecret, NodePattern};
pub use journal::{
    AckItem, ChatItem, ContactItem, ContactNames, Delivered, Deliveries, JournalEntry, JournalItem,
    JournalStats, ReceiptItem, ReceiptLevel, SendResultItem, SessionDelivery, UndecryptableItem,
    UndecryptableReason, send_failure,
};
pub use membership::{
    FEATURE_IDENTITY, Health, Heartbeat, HeartbeatAnswer, HeldSession, Register, Registered,
    Reported, Reports,
};
pub use message_item::{
    MediaDescription, MessageFlag, MessageItem, MessageSource, MessageType, QuotedMessage,
    TargetMessage,
};
pub use messaging::{
    Answer, Ask, CancelOutcome, Cancelled, ChatActivity, CheckedContact, FEATURE_MESSAGES,
    MessagesTaken, OutgoingContent, OutgoingMessage, Question, RefusedCode, RefusedMessage,
    SendMessages, SendState, TakenMessage,
};
pub use snapshot::{
    Attempt, Identity, PairingCode, QrCode, Reason, Snapshot, Snapshots, Status, reason,
};
pub use trace_parent::{TRACE_PARENT, TraceParent};

#[cfg(feature = "domain")]
pub mod convert;
