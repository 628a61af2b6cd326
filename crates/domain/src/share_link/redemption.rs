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
pub struct OpenedLink {
    /// The new secret of the browser. `None` if the browser has its secret already.
    pub browser_secret: Option<String>,
    /// Time at which the secret of the browser is of no more use.
    pub removed_at: Timestamp,
}

/// Omits the secret.
impl std::fmt::Debug for OpenedLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedLink").field("removed_at", &self.removed_at).finish_non_exhaustive()
    }
}

impl ShareLinks {
    /// Opens a link in a browser. `browser` is the secret that the browser presents, if any.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound), the same for an unknown, expired, revoked or used
    /// link and for a link that another browser opened; and errors of the store.
    pub async fn open(&self, secret: &str, browser: Option<&str>) -> Result<OpenedLink> {
        let presented = or_not_found("link", self.ports.secrets.read(secret))?;
        let browser = browser.and_then(|text| self.ports.secrets.read_browser(text));
        let found =
            self.ports.directory.find_by_secret(&presented, browser.as_ref(), self.now()).await?;
        let link = or_not_found("link", found)?;
        let removed_at = link.removed_at();
        if link.opening.is_some() {
            return Ok(OpenedLink { browser_secret: None, removed_at });
        }
        let new = self.ports.secrets.generate_browser();
        self.bind(&link, new.digest).await?;
        Ok(OpenedLink { browser_secret: Some(new.text), removed_at })
    }

    /// Binds a link that no browser has opened.
    async fn bind(&self, link: &ShareLink, browser: [u8; 32]) -> Result<()> {
        let (scope, id) = link.holder().may_link()?;
        let find = async || {
            let link = self.find(&scope, link.session.as_str(), id.as_str()).await?;
            let session = or_not_found("link", self.sessions.find(&scope, link.session.as_str()).await.ok())?;
            Ok((session, link))
        };
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

    /// Returns the holder of the link that the browser opened.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound), the same for every cause; and errors of the
    /// store.
    pub async fn holder(&self, browser: &str) -> Result<Caller> {
        let browser = or_not_found("link", self.ports.secrets.read_browser(browser))?;
        let found = self.ports.directory.find_by_browser(&browser, self.now()).await?;
        Ok(or_not_found("link", found)?.holder())
    }
}
