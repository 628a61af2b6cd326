//! Stores of share links.

use async_trait::async_trait;

use crate::{
    access::Scope,
    commit::Commit,
    id::{LinkId, SessionId},
    ports::{
        error::PortResult,
        link_secrets::PresentedLink,
        store::{position::Position, written::CommitOutcome},
    },
    share_link::{model::ShareLink, write::ShareLinkWrite},
    time::Timestamp,
};

/// A page of the list of a session's links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareLinkPage {
    /// Only links after this position. `None` begins at the newest link.
    pub after: Option<Position<LinkId>>,
    /// Maximum number of links.
    pub limit: u32,
}

/// Share links of an organization. A link belongs to a session: every statement contains the
/// organization, the session and the reach of the scope. The delete of a session removes its links.
#[async_trait]
pub trait ShareLinkStore: Send + Sync {
    /// Writes the change of the link and of its session, the events, the idempotency record and the
    /// link attempt in one transaction. Returns [`Written::Raced`] if the session is out of the scope
    /// or does not meet the condition, if an inserted link exists, or if a replaced link is missing or
    /// has ended; [`Rejection::Full`] without room for the link or the record; and
    /// [`Rejection::RateLimited`] as [`SessionStore::commit`](crate::ports::SessionStore::commit).
    ///
    /// [`Written::Raced`]: crate::ports::Written::Raced
    /// [`Rejection::Full`]: crate::ports::Rejection::Full
    /// [`Rejection::RateLimited`]: crate::ports::Rejection::RateLimited
    async fn commit(
        &self,
        scope: &Scope,
        commit: &Commit<ShareLinkWrite>,
    ) -> PortResult<CommitOutcome>;

    /// Returns a link of a session within the scope.
    async fn find(
        &self,
        scope: &Scope,
        session: &SessionId,
        id: &LinkId,
    ) -> PortResult<Option<ShareLink>>;

    /// Returns a page of the links of a session, newest first: by `created_at`, then by id, both
    /// descending.
    async fn list(
        &self,
        scope: &Scope,
        session: &SessionId,
        page: &ShareLinkPage,
    ) -> PortResult<Vec<ShareLink>>;

    /// Returns the number of links of a session that have neither ended nor expired at `now`.
    async fn live_count(
        &self,
        scope: &Scope,
        session: &SessionId,
        now: Timestamp,
    ) -> PortResult<u64>;
}

/// Lookup of share links by their secrets, before the organization is known. An unknown, wrong,
/// revoked, expired or used secret is the same miss: no row is found and then rejected.
#[async_trait]
pub trait ShareLinkDirectory: Send + Sync {
    /// Returns the link with this id and digest if it [opens](ShareLink::opens_in) in the browser.
    async fn find_by_secret(
        &self,
        presented: &PresentedLink,
        browser: Option<&[u8; 32]>,
        now: Timestamp,
    ) -> PortResult<Option<ShareLink>>;

    /// Returns the link that is [readable](ShareLink::is_readable_by) by the browser.
    async fn find_by_browser(
        &self,
        browser: &[u8; 32],
        now: Timestamp,
    ) -> PortResult<Option<ShareLink>>;
}
