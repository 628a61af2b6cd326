//! Names of the parts of a webhook that its owner changes.

/// A part of a webhook, as events and violations name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookField {
    /// The URL.
    Url,
    /// The session that the webhook is limited to.
    Session,
    /// The kinds of events.
    Events,
    /// Whether events are delivered.
    Active,
    /// Whether events of a session are delivered in order.
    Ordered,
    /// The headers of the owner.
    CustomHeaders,
    /// The retry policy.
    RetryPolicy,
    /// The signing secret.
    Secret,
    /// Whether deliveries are paused, or resumed after a pause, a failure or a disablement.
    Paused,
    /// A replay of earlier events.
    Replay,
    /// The dead letters: one is replayed, or an event is skipped.
    DeadLetters,
}

impl WebhookField {
    /// Every part.
    pub const ALL: [Self; 11] = [
        Self::Url,
        Self::Session,
        Self::Events,
        Self::Active,
        Self::Ordered,
        Self::CustomHeaders,
        Self::RetryPolicy,
        Self::Secret,
        Self::Paused,
        Self::Replay,
        Self::DeadLetters,
    ];

    /// Returns the stable name, as stored in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Session => "sessionId",
            Self::Events => "events",
            Self::Active => "active",
            Self::Ordered => "ordered",
            Self::CustomHeaders => "customHeaders",
            Self::RetryPolicy => "retryPolicy",
            Self::Secret => "secret",
            Self::Paused => "paused",
            Self::Replay => "replay",
            Self::DeadLetters => "deadLetters",
        }
    }

    /// Returns the part with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == text)
    }
}
