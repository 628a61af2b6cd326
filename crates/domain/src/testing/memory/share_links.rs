//! Stores of share links in memory.

use async_trait::async_trait;

use crate::{
    access::Scope,
    commit::Commit,
    id::{LinkId, SessionId},
    ports::{
        error::PortResult,
        link_secrets::PresentedLink,
        store::{
            share_links::{ShareLinkDirectory, ShareLinkPage, ShareLinkStore},
            written::{CommitOutcome, Written},
        },
    },
    resource_quota::Resource,
    session::write::SessionUpdate,
    share_link::{
        model::ShareLink,
        write::{ShareLinkChange, ShareLinkWrite},
    },
    testing::memory::state::{Memory, MemoryState, count, is_unchanged, require_own_organization},
    time::Timestamp,
};

#[async_trait]
impl ShareLinkStore for Memory {
    async fn commit(
        &self,
        scope: &Scope,
        commit: &Commit<ShareLinkWrite>,
    ) -> PortResult<CommitOutcome> {
        let mut state = self.state()?;
        let ShareLinkWrite { session: update, attempt, link } = &commit.change;
        let SessionUpdate { session, expected } = update;
        let known = state.visible(scope, &session.id);
        if known.is_none_or(|known| !is_unchanged(known, *expected)) {
            return Ok(Ok(Written::Raced));
        }
        let (grown, organization) = match link {
            ShareLinkChange::Insert(link) if state.share_links.contains_key(&link.id) => {
                return Ok(Ok(Written::Raced));
            }
            ShareLinkChange::Insert(link) => (&[(Resource::ShareLinks, 1)][..], &link.organization),
            ShareLinkChange::Update(link) if !state.has_unended(&link.id) => {
                return Ok(Ok(Written::Raced));
            }
            ShareLinkChange::Update(_) | ShareLinkChange::Nothing => {
                (&[][..], scope.organization())
            }
        };
        require_own_organization(scope, organization, &commit.events)?;
        let accepted = state.accept(scope, grown, attempt.as_ref(), commit, session.updated_at);
        if let Err(rejection) = accepted {
            return Ok(Err(rejection));
        }
        match link {
            ShareLinkChange::Insert(link) => {
                state.share_links.insert(link.id.clone(), link.clone());
            }
            ShareLinkChange::Update(link) => state.replace_links(std::slice::from_ref(link)),
            ShareLinkChange::Nothing => {}
        }
        Ok(Ok(state.replace(update)))
    }

    async fn find(
        &self,
        scope: &Scope,
        session: &SessionId,
        id: &LinkId,
    ) -> PortResult<Option<ShareLink>> {
        let state = self.state()?;
        let found = state.links_of(scope, session).find(|link| link.id == *id).cloned();
        Ok(found)
    }

    async fn list(
        &self,
        scope: &Scope,
        session: &SessionId,
        page: &ShareLinkPage,
    ) -> PortResult<Vec<ShareLink>> {
        let state = self.state()?;
        let follows = |link: &&ShareLink| {
            let key = (link.created_at, &link.id);
            page.after.as_ref().is_none_or(|after| key < (after.created_at, &after.id))
        };
        let mut links: Vec<_> = state.links_of(scope, session).filter(follows).cloned().collect();
        links.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        links.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        Ok(links)
    }

    async fn live_count(
        &self,
        scope: &Scope,
        session: &SessionId,
        now: Timestamp,
    ) -> PortResult<u64> {
        let state = self.state()?;
        let live = state.links_of(scope, session).filter(|link| link.is_live(now)).count();
        Ok(count(live))
    }
}

#[async_trait]
impl ShareLinkDirectory for Memory {
    async fn find_by_secret(
        &self,
        presented: &PresentedLink,
        browser: Option<&[u8; 32]>,
        now: Timestamp,
    ) -> PortResult<Option<ShareLink>> {
        let state = self.state()?;
        let link = state.share_links.get(&presented.id);
        let opens =
            |link: &&ShareLink| link.digest == presented.digest && link.opens_in(browser, now);
        Ok(link.filter(opens).cloned())
    }

    async fn find_by_browser(
        &self,
        browser: &[u8; 32],
        now: Timestamp,
    ) -> PortResult<Option<ShareLink>> {
        let state = self.state()?;
        let found = state.share_links.values().find(|link| link.is_readable_by(browser, now));
        Ok(found.cloned())
    }
}

impl MemoryState {
    /// Writes opening, attempts and end of links that have not ended.
    pub(in crate::testing) fn replace_links(&mut self, links: &[ShareLink]) {
        for next in links {
            if let Some(link) = self.share_links.get_mut(&next.id).filter(|link| link.end.is_none())
            {
                let ShareLink { opening, attempts, end, .. } = next;
                (link.opening, link.attempts, link.end) = (*opening, *attempts, *end);
            }
        }
    }

    fn has_unended(&self, id: &LinkId) -> bool {
        self.share_links.get(id).is_some_and(|link| link.end.is_none())
    }

    fn links_of(&self, scope: &Scope, session: &SessionId) -> impl Iterator<Item = &ShareLink> {
        let is_own = move |link: &&ShareLink| {
            link.session == *session && scope.covers(&link.organization, &link.session)
        };
        self.share_links.values().filter(is_own)
    }
}
