//! A session's next state and the news that tell of it, written as one.
//!
//! Decision: ADR 0012.

use super::{Session, Version};
use crate::{Actor, Event, EventId, LinkAttempt, News, Timestamp, ports::Environment};

/// How a session stood when it was read: what every write of it is guarded by.
///
/// The version alone would not do. Whoever wakes a session moves its `due` and nothing else; a write that
/// knows nothing of that would put it off again, and a node that is back would wait for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Its version.
    pub version: Version,
    /// When it was to be looked at.
    pub due: Option<Timestamp>,
}

/// When a session was to be looked at, as it was read. No part of what the session is: two that differ
/// in nothing else are equal.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsRead(pub Option<Timestamp>);

impl PartialEq for AsRead {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for AsRead {}

impl Session {
    /// What a write is guarded by that begins from here.
    pub fn guard(&self) -> Guard {
        Guard { version: self.version, due: self.as_read.0 }
    }
}

/// What is about to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Change {
    /// The next state.
    pub session: Session,
    /// What there is to tell.
    pub news: Vec<News>,
    /// The attempt at linking that begins with it, where attempts are counted.
    pub attempt: Option<LinkAttempt>,
}

impl Change {
    /// The next state, without news so far.
    pub(crate) fn of(session: Session) -> Self {
        Self { session, news: Vec::new(), attempt: None }
    }

    /// Adds news.
    pub(crate) fn tell(&mut self, news: News) {
        self.news.push(news);
    }

    /// Numbers, dates and signs it: the state as it is to be stored, how the stored row must still
    /// stand, and the events.
    pub fn seal(
        self,
        actor: &Actor,
        environment: &dyn Environment,
    ) -> (Session, Guard, Vec<Event>) {
        let Self { mut session, news, attempt: _ } = self;
        let (expected, now) = (session.guard(), environment.now());
        session.version = Version(expected.version.0 + 1);
        session.as_read = AsRead(session.due);
        session.updated_at = now;
        let events = news
            .into_iter()
            .map(|news| {
                session.sequence += 1;
                Event {
                    id: EventId::mint(environment.ulid()),
                    name: news.name,
                    organization: session.organization.clone(),
                    session: Some(session.id.clone()),
                    sequence: session.sequence,
                    at: now,
                    actor: actor.clone(),
                    payload: news.payload,
                }
            })
            .collect();
        (session, expected, events)
    }
}
