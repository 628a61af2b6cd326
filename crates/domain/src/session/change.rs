//! A session's next state and the news that tell of it, written as one.

use super::{Session, Version};
use crate::{Actor, Event, EventId, News, ports::Environment};

/// What is about to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Change {
    /// The next state.
    pub session: Session,
    /// What there is to tell.
    pub news: Vec<News>,
}

impl Change {
    /// The next state, without news so far.
    pub(crate) fn of(session: Session) -> Self {
        Self { session, news: Vec::new() }
    }

    /// Adds news.
    pub(crate) fn tell(&mut self, news: News) {
        self.news.push(news);
    }

    /// Numbers, dates and signs it: the state as it is to be stored, the version the stored row must
    /// still have, and the events.
    pub fn seal(
        self,
        actor: &Actor,
        environment: &dyn Environment,
    ) -> (Session, Version, Vec<Event>) {
        let Self { mut session, news } = self;
        let (expected, now) = (session.version, environment.now());
        session.version = Version(expected.0 + 1);
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
