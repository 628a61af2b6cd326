//! Browser sessions in memory.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use crate::{
    browser_session::{digest::BrowserSessionDigest, model::BrowserSession},
    id::OrganizationId,
    ports::{error::PortResult, store::browser_sessions::BrowserSessionStore},
    testing::memory::state::Memory,
    time::Timestamp,
};

#[async_trait]
impl BrowserSessionStore for Memory {
    async fn insert(&self, session: &BrowserSession, most: u32) -> PortResult<()> {
        let sessions = &mut self.state()?.browser_sessions;
        sessions.insert(session.digest, session.clone());
        let name = session.holder_name();
        let mut own: Vec<_> = sessions
            .values()
            .filter(|other| other.holder_name() == name)
            .map(|other| (other.last_used_at, other.created_at, other.digest))
            .collect();
        own.sort_by(|a, b| b.cmp(a));
        for (_, _, digest) in own.into_iter().skip(usize::try_from(most).unwrap_or(usize::MAX)) {
            sessions.remove(&digest);
        }
        Ok(())
    }

    async fn find(
        &self,
        digest: BrowserSessionDigest,
        now: Timestamp,
    ) -> PortResult<Option<BrowserSession>> {
        let state = self.state()?;
        let session = state.browser_sessions.get(&digest);
        Ok(session.filter(|session| session.is_valid(now)).cloned())
    }

    async fn organizations(
        &self,
        digests: &BTreeSet<BrowserSessionDigest>,
        now: Timestamp,
    ) -> PortResult<BTreeMap<BrowserSessionDigest, Option<OrganizationId>>> {
        let state = self.state()?;
        let valid = digests.iter().filter_map(|digest| state.browser_sessions.get(digest));
        let valid = valid.filter(|session| session.is_valid(now));
        Ok(valid.map(|session| (session.digest, session.organization.clone())).collect())
    }

    async fn record_use(
        &self,
        digest: BrowserSessionDigest,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> PortResult<()> {
        if let Some(session) = self.state()?.browser_sessions.get_mut(&digest) {
            (session.last_used_at, session.expires_at) = (at, expires_at);
        }
        Ok(())
    }

    async fn set_organization(
        &self,
        digest: BrowserSessionDigest,
        organization: &OrganizationId,
    ) -> PortResult<()> {
        if let Some(session) = self.state()?.browser_sessions.get_mut(&digest) {
            session.organization = Some(organization.clone());
        }
        Ok(())
    }

    async fn remove(&self, digest: BrowserSessionDigest) -> PortResult<()> {
        self.state()?.browser_sessions.remove(&digest);
        Ok(())
    }
}
