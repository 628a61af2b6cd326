//! Stores of sessions: for owners, and across organizations for operators.

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

/// Conditions on sessions. All given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// The status is one of these. An empty list admits every status.
    pub statuses: Vec<Status>,
    /// The label equals this text.
    pub label: Option<String>,
    /// The session is assigned to this node.
    pub gateway: Option<GatewayId>,
    /// The linked device has this phone number.
    pub phone: Option<String>,
}

impl SessionFilter {
    /// Returns true if the session meets every condition.
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

/// A page of the list of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPage {
    /// Conditions on the sessions.
    pub filter: SessionFilter,
    /// Only sessions after this position. `None` begins at the newest session.
    pub after: Option<Position>,
    /// Maximum number of sessions.
    pub limit: u32,
}

/// Sessions of an organization. Every statement contains the organization and the reach of the
/// scope, so that a foreign session and a missing session are the same miss.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Inserts a session, its events and the idempotency record in one transaction. Never returns
    /// [`Written::Raced`]. Returns [`Written::Refused`] without room for the session, its metadata
    /// or the record.
    async fn insert(
        &self,
        scope: &Scope,
        session: &Session,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written>;

    /// Returns the session if it is within the scope.
    async fn find(&self, scope: &Scope, id: &SessionId) -> PortResult<Option<Session>>;

    /// Returns a page of the sessions, newest first: by `created_at`, then by id, both descending.
    async fn list(&self, scope: &Scope, page: &SessionPage) -> PortResult<Vec<Session>>;

    /// Replaces the session if it is within the scope and meets `expected`, and writes the events
    /// and the idempotency record in the same transaction. The constant fields id, organization,
    /// creator and creation time are not written. Returns [`Written::Refused`] without room for the
    /// record or for more metadata.
    async fn update(
        &self,
        scope: &Scope,
        session: &Session,
        expected: ExpectedVersion,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written>;

    /// Writes a change that begins a link attempt, and counts the attempt in the same transaction.
    /// Acts as [`Self::update`], or as [`Self::insert`] without `expected`. Returns
    /// [`Written::Refused`] if too many attempts were begun for the session, the phone or the
    /// organization. Attempts of deleted sessions count.
    async fn write_with_link_attempt(
        &self,
        scope: &Scope,
        session: &Session,
        expected: Option<ExpectedVersion>,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
        attempt: &LinkAttempt,
    ) -> PortResult<Written>;

    /// Returns the readable part of a session within the scope, enough to delete the session.
    async fn partial_session(
        &self,
        scope: &Scope,
        id: &SessionId,
    ) -> PortResult<Option<PartialSession>>;

    /// Acts as [`delete`](Self::delete) for a [`PartialSession`], if the stored version is
    /// unchanged.
    async fn delete_partial(
        &self,
        scope: &Scope,
        stored_version: i64,
        cleanup: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written>;

    /// Deletes the session if it is within the scope and at `expected`. Writes the events and the
    /// cleanup, unless it is complete, in the same transaction.
    async fn delete(
        &self,
        scope: &Scope,
        expected: Version,
        cleanup: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written>;
}

/// Sessions of all organizations, for operators only.
#[async_trait]
pub trait OperatorStore: Send + Sync {
    /// Acts as [`SessionStore::list`] over all organizations, or one.
    async fn sessions(
        &self,
        organization: Option<&OrganizationId>,
        page: &SessionPage,
    ) -> PortResult<Vec<Session>>;
}
