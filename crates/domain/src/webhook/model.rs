//! A webhook as its owner sees it.

use std::fmt;

use crate::{
    caller::{Actor, Capabilities},
    feed::filter::EventPattern,
    id::{OrganizationId, SessionId, WebhookId},
    ports::seal::SealedSecret,
    session::version::Version,
    time::Timestamp,
    webhook::{disabled_reason::DisabledReason, retry_policy::RetryPolicy},
};

/// A URL of an organization to which berth sends events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Id of the webhook.
    pub id: WebhookId,
    /// Organization that owns the webhook.
    pub organization: OrganizationId,
    /// The settings of the owner.
    pub settings: WebhookSettings,
    /// The signing secrets.
    pub secrets: WebhookSecrets,
    /// Whether deliveries wait until the owner resumes them.
    pub paused: bool,
    /// The reason for which berth stopped the deliveries. `None` if it did not.
    pub disabled: Option<DisabledReason>,
    /// Time at which the owner last resumed deliveries. Resets the circuit breaker.
    pub resumed_at: Option<Timestamp>,
    /// Capabilities of the caller that last changed the settings. Events that need another
    /// capability are not delivered.
    pub capabilities: Capabilities,
    /// Actor that created the webhook.
    pub created_by: Actor,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// Number of the last change.
    pub version: Version,
}

/// The settings that an owner changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Destination of the requests, validated. Paths and queries often contain keys: log lines and
    /// events contain scheme and host only.
    pub url: WebhookUrlText,
    /// Session whose events are delivered. `None` delivers the events of all sessions and those of
    /// the organization. The session may be deleted.
    pub session: Option<SessionId>,
    /// Kinds of events. An empty list selects every kind.
    pub events: Vec<EventPattern>,
    /// Whether events are delivered. Events of the time in between are skipped.
    pub active: bool,
    /// Whether a failing event holds back the later events of its session.
    pub ordered: bool,
    /// Headers that each request carries.
    pub headers: CustomHeaders,
    /// The retry policy.
    pub retry_policy: RetryPolicy,
}

/// The text of a webhook's URL. `Debug` omits path and query.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrlText {
    /// The whole text.
    pub text: String,
    /// Scheme and host.
    pub origin: String,
}

impl fmt::Debug for WebhookUrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

/// Headers of the owner, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomHeaders {
    /// Names and values. The values of sensitive headers are masked.
    pub masked: Vec<HeaderPair>,
    /// The sealed names and values, if one is sensitive.
    pub sealed: Option<SealedSecret>,
}

/// Name and value of a header. `Debug` omits the value.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderPair {
    /// Name, as the owner writes it.
    pub name: String,
    /// Value.
    pub value: String,
}

impl fmt::Debug for HeaderPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The sealed signing secrets of a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookSecrets {
    /// The newest secret. `None` for a webhook whose requests are not signed.
    pub current: Option<SealedSecret>,
    /// The secret before the last rotation.
    pub previous: Option<PreviousSecret>,
    /// Time of the last change of the secret. `None` if it never changed.
    pub rotated_at: Option<Timestamp>,
}

/// A replaced secret that still signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousSecret {
    /// The sealed secret.
    pub secret: SealedSecret,
    /// Time from which the secret no longer signs.
    pub until: Timestamp,
}

impl Webhook {
    /// Returns true if events are to be delivered now.
    pub fn is_live(&self) -> bool {
        self.settings.active && !self.paused && self.disabled.is_none()
    }
}
