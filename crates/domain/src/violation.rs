//! Violations: the faults that validation finds in a request.

use crate::{
    outbox::message_field::MessageField, session::settings_field::SettingsField,
    webhook::field::WebhookField,
};

/// The part of a request that a violation is about. An adapter maps a path to the name that its callers
/// use, for example a JSON pointer or a command-line flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldPath {
    /// The settings of a session as a whole.
    Settings,
    /// One setting of a session.
    Setting(SettingsField),
    /// The entry with this key in the metadata of a session.
    MetadataEntry(String),
    /// The phone number of a pairing code request.
    Phone,
    /// The name of an API key.
    KeyName,
    /// The capabilities of an API key.
    KeyCapabilities,
    /// The time at which an API key expires.
    KeyExpiry,
    /// The list of sessions that an API key is confined to.
    KeySessions,
    /// One session of that list, by its index from 0.
    KeySession(usize),
    /// A part of a webhook.
    Webhook(WebhookField),
    /// One entry of a webhook's kinds of events, by its index from 0.
    WebhookEvent(usize),
    /// The first delay of a retry policy.
    RetryDelay,
    /// The number of attempts of a retry policy.
    RetryAttempts,
    /// The time at which a replay begins.
    ReplaySince,
    /// The event after which a replay begins.
    ReplayAfter,
    /// The time at which a replay ends.
    ReplayUntil,
    /// The life of a share link.
    LinkLife,
    /// The methods of a share link.
    LinkMethods,
    /// The phone of a share link.
    LinkPhone,
    /// The title of a share link.
    LinkTitle,
    /// The address that the browser may go to after the end of a share link.
    LinkReturnAddress,
    /// A part of a request about a message.
    Message(MessageField),
}

/// One fault in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The faulty part of the request.
    pub field: FieldPath,
    /// The rule that the part breaks, as a text for people.
    pub reason: String,
}

impl Violation {
    /// Creates a violation.
    pub fn new(field: FieldPath, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}
