//! Store of sessions.

use async_trait::async_trait;

use crate::{
    access::Scope,
    cleanup::Cleanup,
    event::Event,
    id::{GatewayId, OrganizationId, SessionId},
    idempotency::IdempotencyRecord,
    link_attempt::LinkAttempt,
    ports::{
        error::PortResult,
        store::{position::Position, written::Written},
    },
    session::{
        model::Session,
        partial_session::PartialSession,
        status::Status,
        version::{ExpectedVersion, Version},
    },
};

/// Which sessions are looked for; every condition that is given holds for each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Any of these; all when there are none.
    pub statuses: Vec<Status>,
    /// Exactly this label.
    pub label: Option<String>,
    /// Placed on this node.
    pub gateway: Option<GatewayId>,
    /// Linked to this number.
    pub phone: Option<String>,
}

impl SessionFilter {
    /// Whether a session is looked for.
    pub fn matches(&self, session: &Session) -> bool {
        let phone = session.observed.identity.as_ref().map(|identity| &identity.phone);
        (self.statuses.is_empty() || self.statuses.contains(&session.observed.status))
            && self
                .label
                .as_ref()
                .is_none_or(|label| session.settings.label.as_ref() == Some(label))
            && self.gateway.as_ref().is_none_or(|node| session.gateway.as_ref() == Some(node))
            && self.phone.as_ref().is_none_or(|number| phone == Some(number))
    }
}

/// Which sessions to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPage {
    /// Those looked for.
    pub filter: SessionFilter,
    /// Strictly after this one; from the newest when `None`.
    pub after: Option<Position>,
    /// At most so many.
    pub limit: u32,
}

/// Sessions as their owners see them. The scope's organization and reach are part of every
/// statement, so that a foreign session and a missing one are the same miss.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// A new session, the events that tell of it and the receipt, at once. Never [`Written::Raced`].
    /// [`Written::Refused`] when there is no room for the session, its metadata or the receipt.
    async fn insert(
        &self,
        scope: &Scope,
        session: &Session,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written>;

    /// The session, if it is within the scope.
    async fn find(&self, scope: &Scope, id: &SessionId) -> PortResult<Option<Session>>;

    /// Newest first: by `created_at`, then by id, both descending.
    async fn list(&self, scope: &Scope, page: &SessionPage) -> PortResult<Vec<Session>>;

    /// Replaces the session, if it is within the scope and still stands as `expected`, and writes the
    /// events and the receipt, at once. What never changes (id, organization, who made it and when)
    /// is not written. [`Written::Refused`] when there is no room for the receipt, or for more metadata.
    async fn update(
        &self,
        scope: &Scope,
        session: &Session,
        expected: ExpectedVersion,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written>;

    /// As [`Self::update`], or as [`Self::insert`] without `expected`, for a change that begins an attempt
    /// at linking, which is counted with it. [`Written::Refused`] when too many were begun of its session,
    /// its phone or the organization; attempts of deleted sessions count as well.
    async fn write_with_link_attempt(
        &self,
        scope: &Scope,
        session: &Session,
        expected: Option<ExpectedVersion>,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
        attempt: &LinkAttempt,
    ) -> PortResult<Written>;

    /// What can be read of a session whose row cannot be read whole, if it is within the scope: enough to
    /// delete it.
    async fn partial_session(
        &self,
        scope: &Scope,
        id: &SessionId,
    ) -> PortResult<Option<PartialSession>>;

    /// As [`delete`](Self::retire), for a session of which only [`PartialSession`] are known: if it still
    /// carries their mark.
    async fn delete_partial(
        &self,
        scope: &Scope,
        stored_version: i64,
        cleanup: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written>;

    /// Deletes the session, if it is within the scope and still at `expected`, leaving the
    /// retirement, unless that is over, and the events in its place, at once.
    async fn delete(
        &self,
        scope: &Scope,
        expected: Version,
        cleanup: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written>;
}

/// Sessions of all organizations, for the platform's own people alone.
#[async_trait]
pub trait OperatorStore: Send + Sync {
    /// As [`SessionStore::list`], over all organizations or one.
    async fn sessions(
        &self,
        organization: Option<&OrganizationId>,
        page: &SessionPage,
    ) -> PortResult<Vec<Session>>;
}
