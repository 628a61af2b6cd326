//! What is removed of messages, and when.

use std::time::Duration;

use crate::{
    caller::Actor,
    event::{Event, payload::EventPayload},
    id::EventId,
    messaging::state::SessionMessaging,
    ports::environment::Environment,
    session::message_storage::MessageStorage,
    time::Timestamp,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Time for which the encoded content of messages stays stored.
const CONTENT_DAYS: u32 = 14;

/// The ages beyond which parts of a session's messages are removed, as times: older parts are
/// removed. `None` for parts that stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageCutoffs {
    /// Whole messages.
    pub messages: Option<Timestamp>,
    /// Bodies and encoded contents.
    pub bodies: Option<Timestamp>,
    /// Encoded contents.
    pub contents: Timestamp,
}

impl MessageCutoffs {
    /// Returns the cutoffs of a session with these settings. A body stays for a day in any case, so
    /// that streams and webhooks deliver it.
    pub fn new(storage: MessageStorage, retention_days: u32, now: Timestamp) -> Self {
        let before = |days: u32| now.minus(DAY.saturating_mul(days));
        let by_age = (retention_days > 0).then(|| before(retention_days));
        let contents = before(CONTENT_DAYS);
        match storage {
            MessageStorage::Full => Self { messages: by_age, bodies: None, contents },
            MessageStorage::Headers => {
                Self { messages: by_age, bodies: Some(before(1)), contents: before(1) }
            }
            MessageStorage::None => {
                Self { messages: Some(before(1)), bodies: None, contents: before(1) }
            }
        }
    }
}

/// The removal of a deleted session's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRemoval {
    /// Counters and marks of the session.
    pub row: SessionMessaging,
    /// Number of messages that are removed already.
    pub removed: u64,
}

impl MessageRemoval {
    /// Returns the event of the end of the removal.
    pub(super) fn event(&self, environment: &dyn Environment) -> Event {
        Event {
            id: EventId::from_bits(environment.ulid()),
            organization: self.row.organization.clone(),
            session: Some(self.row.session.clone()),
            sequence: self.row.sequence + 1,
            at: environment.now(),
            actor: Actor::System,
            payload: EventPayload::SessionMessagesDeleted { removed: self.removed },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_decide_about_each_part() {
        let now = Timestamp::from_millis(100 * 86_400_000);
        let day = |day: i64| Timestamp::from_millis(day * 86_400_000);
        let full = MessageCutoffs::new(MessageStorage::Full, 90, now);
        let expected = MessageCutoffs { messages: Some(day(10)), bodies: None, contents: day(86) };
        assert_eq!(full, expected);
        let for_ever = MessageCutoffs::new(MessageStorage::Full, 0, now);
        assert_eq!(for_ever, MessageCutoffs { messages: None, ..expected });
        let headers = MessageCutoffs::new(MessageStorage::Headers, 90, now);
        let bodies = Some(day(99));
        assert_eq!(headers, MessageCutoffs { bodies, contents: day(99), ..expected });
        let none = MessageCutoffs::new(MessageStorage::None, 0, now);
        assert_eq!((none.messages, none.contents), (Some(day(99)), day(99)));
    }
}
