//! Retry queues: the failing event of a session, and the later events behind it.

use std::borrow::Cow;

use crate::{
    event::stream::EventStream,
    feed::position::FeedPosition,
    id::{EventId, SessionId},
    time::Timestamp,
    webhook::attempt::OutcomeClass,
};

/// Events with the same key are delivered one after the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderingKey {
    /// Events of the organization.
    Organization,
    /// Events of a session in one stream: a failing message does not delay the status of the session.
    Session(SessionId, EventStream),
    /// One event alone: of a webhook without order, or a dead letter that is replayed.
    Event(EventId),
}

impl OrderingKey {
    /// Returns the key of an event.
    pub fn of(
        ordered: bool,
        session: Option<&SessionId>,
        stream: EventStream,
        event: &EventId,
    ) -> Self {
        match session {
            _ if !ordered => Self::Event(event.clone()),
            Some(session) => Self::Session(session.clone(), stream),
            None => Self::Organization,
        }
    }

    /// Returns the stored text. Empty for [`Self::Organization`].
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Organization => "".into(),
            Self::Session(session, EventStream::Session) => session.as_str().into(),
            Self::Session(session, stream) => format!("{session}/{}", stream.as_str()).into(),
            Self::Event(event) => event.as_str().into(),
        }
    }

    /// Returns the key with this text, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::Organization);
        }
        let (id, stream) = match text.split_once('/') {
            Some((id, stream)) => (id, EventStream::parse(stream)?),
            None => (text, EventStream::Session),
        };
        let session = SessionId::parse(id).map(|session| Self::Session(session, stream));
        session.or_else(|| EventId::parse(text).map(Self::Event))
    }
}

/// One of the two passes over the events of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pass {
    /// New events.
    Live,
    /// Earlier events, again.
    Replay,
}

/// The oldest undelivered event of a key, which failed. The later events of the key wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryQueue {
    /// The pass.
    pub pass: Pass,
    /// The key.
    pub key: OrderingKey,
    /// The failing event.
    pub event: EventId,
    /// Position of the event.
    pub position: FeedPosition,
    /// Sequence number of the event in its session. 0 without a session.
    pub sequence: u64,
    /// Number of attempts that count towards the retry policy.
    pub attempts: u32,
    /// Time of the next attempt.
    pub due: Timestamp,
    /// Time of the first failure of the event.
    pub first_failed_at: Timestamp,
    /// Outcome of the last attempt.
    pub class: OutcomeClass,
    /// Status of the last response.
    pub status: Option<u16>,
    /// Whether the event is delivered or a dead letter. The next event of the key becomes the head;
    /// without one, the queue stays until the position has passed the event.
    pub settled: bool,
    /// Whether the owner asks to skip the event.
    pub skip: bool,
}

impl RetryQueue {
    /// Returns whether the event can be attempted now. An event that was not attempted can be, also
    /// after the clock went back.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.attempts == 0 || self.due <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_round_trips_as_text() {
        let (session, event) = (SessionId::from_bits(1), EventId::from_bits(2));
        let messages = format!("{session}/messages");
        for (ordered, of, stream, text) in [
            (true, Some(&session), EventStream::Session, session.as_str()),
            (true, Some(&session), EventStream::Messages, &messages),
            (true, None, EventStream::Session, ""),
            (false, Some(&session), EventStream::Session, event.as_str()),
        ] {
            let key = OrderingKey::of(ordered, of, stream, &event);
            assert_eq!((&*key.text(), OrderingKey::parse(text)), (text, Some(key.clone())));
        }
        assert_eq!(OrderingKey::parse("wh_1"), None);
        assert_eq!(OrderingKey::parse(&format!("{session}/other")), None);
    }
}
