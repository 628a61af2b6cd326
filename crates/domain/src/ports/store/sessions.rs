//! Stores of sessions: for owners, and across organizations for operators.

use async_trait::async_trait;

use crate::{
    access::Scope,
    commit::Commit,
    id::{GatewayId, OrganizationId, SessionId},
    ports::{
        error::PortResult,
        store::{position::Position, written::CommitOutcome},
    },
    session::{
        model::Session, partial_session::PartialSession, status::Status, write::SessionWrite,
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
    /// Returns the session if it is within the scope.
    async fn find(&self, scope: &Scope, id: &SessionId) -> PortResult<Option<Session>>;

    /// Returns a page of the sessions, newest first: by `created_at`, then by id, both descending.
    async fn list(&self, scope: &Scope, page: &SessionPage) -> PortResult<Vec<Session>>;

    /// Writes the change, its events, the idempotency record and the link attempt in one
    /// transaction. Returns [`Written::Raced`] if an inserted session exists, or if an updated or
    /// deleted session is out of the scope or does not meet the condition.
    ///
    /// Returns [`Rejection::Full`] without room for the session, the record or more metadata, and
    /// [`Rejection::RateLimited`] if too many link attempts were begun for the session, the phone or
    /// the organization. Attempts of deleted sessions count.
    ///
    /// An update does not write the constant fields id, organization, creator and creation time. A
    /// delete writes the cleanup unless it is complete.
    ///
    /// [`Written::Raced`]: crate::ports::Written::Raced
    /// [`Rejection::Full`]: crate::ports::Rejection::Full
    /// [`Rejection::RateLimited`]: crate::ports::Rejection::RateLimited
    async fn commit(
        &self,
        scope: &Scope,
        commit: &Commit<SessionWrite>,
    ) -> PortResult<CommitOutcome>;

    /// Returns the readable part of a session within the scope, enough to delete the session.
    async fn partial_session(
        &self,
        scope: &Scope,
        id: &SessionId,
    ) -> PortResult<Option<PartialSession>>;
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
