//! Which events a stream or a webhook gets: the filter of its owner, and the owner's rights.

use std::collections::BTreeSet;

use crate::{
    access::Scope,
    caller::{Caller, Capabilities},
    error::Result,
    event::payload::EventName,
    id::{OrganizationId, SessionId},
};

/// Maximum number of sessions in a filter.
pub const MAX_FILTER_SESSIONS: usize = 100;
/// Maximum number of event patterns in a filter.
pub const MAX_EVENT_PATTERNS: usize = 32;

/// Selects kinds of events by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventPattern {
    /// Every kind: `*`.
    All,
    /// One kind, by its name.
    Name(EventName),
    /// The kind with this name and all kinds whose names begin with it and a dot: `session.*`.
    Family(String),
}

impl EventPattern {
    /// Parses a name, `prefix.*` or `*`. `None` for a text that matches no known kind.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        match text.strip_suffix(".*") {
            Some(prefix) => {
                let family = Self::Family(prefix.to_owned());
                EventName::ALL.into_iter().any(|name| family.matches(name)).then_some(family)
            }
            None => EventName::parse(text).map(Self::Name),
        }
    }

    /// Returns true if the pattern selects the kind.
    pub fn matches(&self, name: EventName) -> bool {
        match self {
            Self::All => true,
            Self::Name(one) => *one == name,
            Self::Family(prefix) => name
                .as_str()
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
        }
    }

    /// Returns the text that [`EventPattern::parse`] reads.
    pub fn text(&self) -> String {
        match self {
            Self::All => "*".to_owned(),
            Self::Name(name) => name.as_str().to_owned(),
            Self::Family(prefix) => format!("{prefix}.*"),
        }
    }
}

/// Conditions of the owner of a stream or webhook. An empty list sets no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedFilter {
    /// The event belongs to one of these sessions.
    pub sessions: BTreeSet<SessionId>,
    /// The kind of the event matches one of these patterns.
    pub events: Vec<EventPattern>,
}

impl FeedFilter {
    /// Returns true if the event meets the conditions.
    pub fn matches(&self, name: EventName, session: Option<&SessionId>) -> bool {
        let of_session = || session.is_some_and(|id| self.sessions.contains(id));
        (self.sessions.is_empty() || of_session())
            && (self.events.is_empty() || self.events.iter().any(|one| one.matches(name)))
    }
}

/// What a reader of the feed may see: the kinds that its capabilities allow, and the sessions within
/// its reach.
#[derive(Clone, Debug)]
pub struct FeedRights {
    scope: Scope,
    capabilities: Capabilities,
}

impl FeedRights {
    /// Returns the rights of a caller.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden) without an organization or without a capability.
    pub fn of(caller: &Caller) -> Result<Self> {
        Ok(Self { scope: caller.may_any()?, capabilities: caller.capabilities.clone() })
    }

    /// Returns the rights of a reader that berth itself runs for an organization, with the
    /// capabilities that a manager of the organization gave to the reader.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden) without a capability.
    pub fn of_organization(
        organization: OrganizationId,
        capabilities: Capabilities,
    ) -> Result<Self> {
        Self::of(&Caller { capabilities, ..Caller::operator(organization) })
    }

    /// Returns the scope of the reader.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the kinds of event that the reader may see.
    pub fn kinds(&self) -> impl Iterator<Item = EventName> {
        EventName::ALL.into_iter().filter(|name| self.capabilities.contains(name.capability()))
    }

    /// Returns true if the reader may see the event. A reader that is confined to named sessions
    /// sees no event without a session, because such events name keys and users.
    pub fn allow(
        &self,
        organization: &OrganizationId,
        name: EventName,
        session: Option<&SessionId>,
    ) -> bool {
        let within_reach = match session {
            Some(session) => self.scope.covers(organization, session),
            None => organization == self.scope.organization() && self.scope.may_create().is_ok(),
        };
        within_reach && self.capabilities.contains(name.capability())
    }
}

#[cfg(test)]
mod tests {
    use crate::caller::{Capability, Reach};

    use super::*;

    #[test]
    fn pattern_selects_a_kind_a_family_or_all() {
        let family = EventPattern::parse("session.*").unwrap();
        assert!(family.matches(EventName::SessionStatus) && !family.matches(EventName::AuthQr));
        assert!(EventPattern::parse("*").unwrap().matches(EventName::ApiKeyCreated));
        let one = EventPattern::parse("auth.qr").unwrap();
        assert!(one.matches(EventName::AuthQr) && !one.matches(EventName::AuthCode));
        for text in ["session.*", "*", "auth.qr", "session.status.*"] {
            assert_eq!(EventPattern::parse(text).map(|it| it.text()), Some(text.to_owned()));
        }
        for unknown in ["", ".*", "**", "sess.*", "session", "session.", "auth.q*", "nothing.*"] {
            assert_eq!(EventPattern::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn filter_combines_sessions_and_kinds() {
        let (mine, other) = (SessionId::from_bits(1), SessionId::from_bits(2));
        let all = FeedFilter::default();
        assert!(all.matches(EventName::ApiKeyCreated, None));
        let of_session = FeedFilter { sessions: [mine.clone()].into(), ..all.clone() };
        assert!(of_session.matches(EventName::AuthQr, Some(&mine)));
        assert!(!of_session.matches(EventName::AuthQr, Some(&other)));
        assert!(!of_session.matches(EventName::ApiKeyCreated, None));
        let events =
            vec![EventPattern::Name(EventName::AuthQr), EventPattern::Family("api_key".to_owned())];
        let of_kinds = FeedFilter { events, ..of_session };
        assert!(of_kinds.matches(EventName::AuthQr, Some(&mine)));
        assert!(!of_kinds.matches(EventName::AuthCode, Some(&mine)));
        assert!(!of_kinds.matches(EventName::ApiKeyCreated, None), "both conditions hold");
    }

    #[test]
    fn rights_follow_organization_reach_and_capability() {
        let acme = OrganizationId::parse("acme").unwrap();
        let zeta = OrganizationId::parse("zeta").unwrap();
        let (mine, other) = (SessionId::from_bits(1), SessionId::from_bits(2));
        let mut caller = Caller::operator(acme.clone());
        let rights = FeedRights::of(&caller).unwrap();
        assert_eq!(rights.kinds().collect::<Vec<_>>(), EventName::ALL);
        assert!(rights.allow(&acme, EventName::AuthQr, Some(&mine)));
        assert!(rights.allow(&acme, EventName::ApiKeyCreated, None));
        assert!(!rights.allow(&zeta, EventName::AuthQr, Some(&mine)));
        assert!(!rights.allow(&zeta, EventName::ApiKeyCreated, None));

        caller.reach = Reach::Only([mine.clone()].into());
        let confined = FeedRights::of(&caller).unwrap();
        assert!(confined.allow(&acme, EventName::AuthQr, Some(&mine)));
        assert!(!confined.allow(&acme, EventName::AuthQr, Some(&other)));
        assert!(!confined.allow(&acme, EventName::ApiKeyCreated, None));

        let reads = [Capability::Read].into_iter().collect::<Capabilities>();
        let reader = FeedRights::of_organization(acme.clone(), reads).unwrap();
        let messages = [
            EventName::Message,
            EventName::MessageStatusChanged,
            EventName::MessageUndecryptable,
            EventName::ChatUpdated,
        ];
        assert_eq!(reader.kinds().collect::<Vec<_>>(), messages);
        assert!(!reader.allow(&acme, EventName::AuthQr, Some(&mine)));
        assert!(reader.allow(&acme, EventName::Message, Some(&mine)));
        assert!(!reader.allow(&zeta, EventName::Message, Some(&mine)));
        assert!(FeedRights::of_organization(acme, Capabilities::default()).is_err());
    }
}
