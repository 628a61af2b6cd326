//! Store of browser sessions.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use crate::{
    browser_session::{digest::BrowserSessionDigest, model::BrowserSession},
    id::OrganizationId,
    ports::error::PortResult,
    time::Timestamp,
};

/// Browser sessions of all organizations, found by the digest of the secret that only the browser
/// has.
#[async_trait]
pub trait BrowserSessionStore: Send + Sync {
    /// Stores a session, and removes all sessions of its holder except the `most` that were used
    /// last, in the same transaction.
    async fn insert(&self, session: &BrowserSession, most: u32) -> PortResult<()>;

    /// Returns the session with this digest if it has not ended at `now`. An unknown session and an
    /// ended one are the same miss.
    async fn find(
        &self,
        digest: BrowserSessionDigest,
        now: Timestamp,
    ) -> PortResult<Option<BrowserSession>>;

    /// Returns the organization of each of the sessions that has not ended at `now`, in one read.
    async fn organizations(
        &self,
        digests: &BTreeSet<BrowserSessionDigest>,
        now: Timestamp,
    ) -> PortResult<BTreeMap<BrowserSessionDigest, Option<OrganizationId>>>;

    /// Records a use, and the time at which the session ends without another one.
    async fn record_use(
        &self,
        digest: BrowserSessionDigest,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> PortResult<()>;

    /// Sets the organization that the session acts for.
    async fn set_organization(
        &self,
        digest: BrowserSessionDigest,
        organization: &OrganizationId,
    ) -> PortResult<()>;

    /// Removes a session. Does nothing without the session.
    async fn remove(&self, digest: BrowserSessionDigest) -> PortResult<()>;
}
