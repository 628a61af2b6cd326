//! The redemption of a share link: the first browser that presents the secret gets a secret of its
//! own, and the link is bound to that browser.

use crate::{
    access::or_not_found,
    caller::Caller,
    commit::{Decision, execute},
    error::Result,
    event::payload::EventPayload,
    session::{change::Change, model::Session},
    share_link::{
        model::{LinkOpening, ShareLink},
        owned_links::link_commit,
        service::ShareLinks,
        write::ShareLinkChange,
    },
    time::Timestamp,
};

/// A link that opened in a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedLink {
    /// Whether the browser gets its new secret. A browser that opened the link before keeps its own.
    pub is_first: bool,
    /// Time after which the secret of the browser is of no more use.
    pub removed_at: Timestamp,
}

impl ShareLinks {
    /// Opens a link in a browser. `known` is the digest of the secret that the browser presents, if
    /// any; `new` is the digest of the secret that the browser gets if no browser has opened the link.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound), the same for an unknown, expired, revoked or used
    /// link and for a link that another browser opened; and errors of the store.
    pub async fn open(
        &self,
        secret: &str,
        known: Option<&[u8; 32]>,
        new: [u8; 32],
    ) -> Result<OpenedLink> {
        let presented = or_not_found("link", self.ports.secrets.read(secret))?;
        let found = self.ports.directory.find_by_secret(&presented, known, self.now()).await?;
        let link = or_not_found("link", found)?;
        let is_first = link.opening.is_none();
        if is_first {
            self.bind(&link, new).await?;
        }
        Ok(OpenedLink { is_first, removed_at: link.removed_at() })
    }

    /// Binds a link that no browser has opened.
    async fn bind(&self, link: &ShareLink, browser: [u8; 32]) -> Result<()> {
        let (scope, id) = link.holder().may_link()?;
        let find = || self.find_linking(&scope, &id);
        let decide = |(session, link): (Session, ShareLink)| {
            let now = self.now();
            let is_free = link.opening.is_none() && link.is_live(now) && !session.is_paired();
            let link = or_not_found("link", is_free.then_some(link))?;
            let mut change = Change::of(session);
            change.add_event(EventPayload::LinkOpened { link: link.id.clone() });
            let opening = Some(LinkOpening { at: now, browser });
            let link = ShareLinkChange::Update(ShareLink { opening, ..link });
            let commit = link_commit(change, link, scope.actor(), &*self.ports.environment);
            Ok(Decision::Write(commit, ()))
        };
        execute(&self.owned_links::<()>(&scope, None), find, decide).await
    }

    /// Returns the holder of the link that the browser with this secret opened.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound), the same for every cause; and errors of the
    /// store.
    pub async fn holder(&self, browser: &[u8; 32]) -> Result<Caller> {
        let found = self.ports.directory.find_by_browser(browser, self.now()).await?;
        Ok(or_not_found("link", found)?.holder())
    }
}
