//! The removal of messages: all of a deleted session, and those that are older than the settings of
//! their session allow.

use std::time::Duration;

use crate::{
    caller::Actor,
    event::{Event, payload::EventPayload},
    id::{EventId, OrganizationId, SessionId},
    session::message_storage::MessageStorage,
    time::Timestamp,
};

/// Time for which bodies stay stored whatever the settings are, so that streams and webhooks deliver
/// them.
const DELIVERY_TIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Time for which the original contents of messages stay stored, for quotes and downloads.
const CONTENT_TIME: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A deleted session whose messages are being removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRemoval {
    /// Organization of the session.
    pub organization: OrganizationId,
    /// The session.
    pub session: SessionId,
}

impl MessageRemoval {
    /// Returns the event that ends the removal, with the number of removed messages.
    pub fn event(&self, id: EventId, sequence: u64, at: Timestamp, removed: u64) -> Event {
        Event {
            id,
            organization: self.organization.clone(),
            session: Some(self.session.clone()),
            sequence,
            at,
            actor: Actor::System,
            payload: EventPayload::SessionMessagesDeleted { removed },
        }
    }
}

/// What expires of a session's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageExpiry {
    /// Whole messages.
    Messages,
    /// Bodies and contents.
    Bodies,
    /// Contents.
    Contents,
}

/// The age of a session's oldest messages, and the settings that limit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageAges {
    /// Organization of the session.
    pub organization: OrganizationId,
    /// The session.
    pub session: SessionId,
    /// Which parts of messages stay stored.
    pub storage: MessageStorage,
    /// Days for which messages stay stored. 0 is no limit.
    pub retention_days: u32,
    /// Time of storage of the oldest message.
    pub oldest: Option<Timestamp>,
    /// Time of storage of the oldest message whose body has not been removed by the expiry of bodies.
    pub oldest_body: Option<Timestamp>,
    /// The same for contents.
    pub oldest_content: Option<Timestamp>,
}

impl MessageAges {
    /// Returns what has expired, each with the time before which it was stored.
    pub fn expired(&self, now: Timestamp) -> Vec<(MessageExpiry, Timestamp)> {
        let days = Duration::from_secs(u64::from(self.retention_days) * 24 * 60 * 60);
        let by_days = (self.retention_days > 0).then(|| now.minus(days));
        let delivered = now.minus(DELIVERY_TIME);
        let messages = match self.storage {
            MessageStorage::None => Some(by_days.unwrap_or(delivered).max(delivered)),
            MessageStorage::Full | MessageStorage::Headers => by_days,
        };
        let (bodies, contents) = match self.storage {
            MessageStorage::Headers => (Some(delivered), None),
            MessageStorage::Full => (None, Some(now.minus(CONTENT_TIME))),
            MessageStorage::None => (None, None),
        };
        [
            (MessageExpiry::Messages, self.oldest, messages),
            (MessageExpiry::Bodies, self.oldest_body, bodies),
            (MessageExpiry::Contents, self.oldest_content, contents),
        ]
        .into_iter()
        .filter_map(|(expiry, oldest, before)| {
            let before = before?;
            oldest.is_some_and(|oldest| oldest < before).then_some((expiry, before))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60;

    fn expired(storage: MessageStorage, retention_days: u32, age_hours: u64) -> Vec<MessageExpiry> {
        let now = Timestamp::from_millis(1_900_000_000_000);
        let oldest = Some(now.minus(Duration::from_secs(age_hours * HOUR)));
        let ages = MessageAges {
            organization: OrganizationId::parse("acme").unwrap(),
            session: SessionId::from_bits(1),
            storage,
            retention_days,
            oldest,
            oldest_body: oldest,
            oldest_content: oldest,
        };
        ages.expired(now).into_iter().map(|(expiry, _)| expiry).collect()
    }

    #[test]
    fn settings_determine_what_expires() {
        use MessageExpiry::{Bodies, Contents, Messages};
        for (storage, days, age_hours, expected) in [
            (MessageStorage::Full, 90, 14 * 24, vec![]),
            (MessageStorage::Full, 90, 14 * 24 + 1, vec![Contents]),
            (MessageStorage::Full, 90, 90 * 24 + 1, vec![Messages, Contents]),
            (MessageStorage::Full, 0, 10_000 * 24, vec![Contents]),
            (MessageStorage::Full, 1, 24, vec![]),
            (MessageStorage::Full, 1, 25, vec![Messages]),
            (MessageStorage::Headers, 90, 24, vec![]),
            (MessageStorage::Headers, 90, 25, vec![Bodies]),
            (MessageStorage::Headers, 2, 49, vec![Messages, Bodies]),
            (MessageStorage::None, 90, 24, vec![]),
            (MessageStorage::None, 90, 25, vec![Messages]),
            (MessageStorage::None, 0, 25, vec![Messages]),
        ] {
            assert_eq!(
                expired(storage, days, age_hours),
                expected,
                "{storage:?} {days} {age_hours}"
            );
        }
    }
}
