//! The JSON of requests and responses: camelCase, times in epoch milliseconds, every field of a
//! response present. `…View` is a part of a response, `…Spec` a part of a request; each has one
//! sample.

mod api_key;
mod browser_session;
mod chat;
mod chat_actions;
mod contact;
mod document;
mod event;
pub(crate) mod event_payload;
mod example;
mod gateway;
mod health;
mod identity;
mod link_progress;
mod list;
mod message;
mod message_list;
mod pairing;
pub(crate) mod schema;
mod session;
mod session_spec;
mod share_link;
mod share_link_spec;
mod stream;
mod webhook;
mod webhook_reports;
mod webhook_schema;
mod webhook_spec;
mod whoami;

pub use api_key::{ApiKeySpec, ApiKeyView, NewApiKeyView};
pub use browser_session::{
    BrowserCredentialSpec, BrowserSessionView, HandoverSpec, LoginOptionsView,
    OrganizationChoiceSpec,
};
pub use chat::{ChatView, LastMessageView};
pub use chat_actions::{PresenceSpec, ReadSpec};
pub use contact::ContactCheckView;
pub(crate) use document::Document;
pub use event::{ActorView, AuditPageSpec, EventView, render_event};
pub(crate) use example::WithExample;
pub use gateway::GatewayView;
pub use health::{LivenessView, ReadinessView};
pub use identity::IdentityView;
pub use link_progress::LinkProgressView;
pub use list::{ListView, SessionPageSpec};
pub use message::{
    ContactCardView, LocationView, MediaView, MessageErrorView, MessageSpec, MessageView,
    PollOptionView, PollView, QuoteView, ReactionView, SendResultView,
};
pub(crate) use message_list::narrowing;
pub use message_list::{ChatPageSpec, MessagePageSpec};
pub use pairing::{PairingCodeSpec, PairingCodeView, QrView};
pub use session::{SessionView, StatusReasonView};
pub use session_spec::{SessionPatch, SessionSpec};
pub use share_link::{NewShareLinkView, ShareLinkView};
pub use share_link_spec::{LinkCodeSpec, LinkSecretSpec, NewShareLinkSpec};
pub use stream::{EventFeedPageView, TicketView};
pub use webhook::{RetryPolicyView, WebhookView};
pub use webhook_reports::{
    AttemptView, DeadLetterView, PingView, ReplayRequestSpec, ReplayView, WebhookStateView,
};
pub use webhook_spec::{WebhookPatchSpec, WebhookSpec};
pub use whoami::WhoamiView;
