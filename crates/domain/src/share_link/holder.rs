//! Use cases of the person who holds a share link: the progress, QR codes and pairing codes.

use std::time::Duration;

use crate::{
    access::{Scope, or_not_found},
    caller::Caller,
    commit::{Commit, Decision, execute},
    error::{Error, Result},
    event::payload::EventPayload,
    id::LinkId,
    ports::notify::Topic,
    session::{
        change::Change,
        model::Session,
        pairing::{PairingCode, Phone, QrCode},
        version::Version,
    },
    share_link::{
        method::LinkMethod,
        model::{LinkOutcome, MAX_LINK_PAIRINGS, ShareLink},
        owned_links::link_commit,
        progress::LinkProgress,
        revocation_cause::RevocationCause,
        service::ShareLinks,
        spec::PHONE_RULE,
        write::{ShareLinkChange, ShareLinkWrite},
    },
    time::Timestamp,
    violation::{FieldPath, Violation},
};

/// Session and link, as one decision reads them.
type Linking = (Session, ShareLink);

impl ShareLinks {
    /// Returns the progress of the caller's link. Waits up to `wait` for another version than
    /// `known`. The end of a link that was used up is shown as long as its row exists.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a caller that holds no link, [`Error::NotFound`] for a link that is
    /// revoked or expired or whose session is deleted, and errors of the store.
    pub async fn progress(
        &self,
        caller: &Caller,
        known: Option<Version>,
        wait: Duration,
    ) -> Result<LinkProgress> {
        let (scope, id) = caller.may_link()?;
        let until = self.now().plus(wait);
        let (mut session, mut link) = self.find_linking(&scope, &id).await?;
        let mut subscription = self.ports.notifier.clone().subscribe(Topic::Session(&session.id));
        loop {
            if is_used_up(&session, &link) && link.end.is_none() {
                self.end_attempts(&scope, &id).await?;
                (session, link) = self.find_linking(&scope, &id).await?;
            }
            let readable = is_readable(&link, self.now()).then_some(link);
            let shown = or_not_found("link", readable)?;
            if known != Some(session.version) || self.now() >= until {
                let session = self.sessions.with_lease(session);
                return Ok(LinkProgress { link: shown, session });
            }
            subscription.wait(known, self.now().until(until)).await;
            (session, link) = self.find_linking(&scope, &id).await?;
        }
    }

    /// Returns the current QR code. Begins a pairing attempt if none is in progress, and waits up to
    /// `wait` for a code.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a link that has ended, a conflict if the link does not allow QR codes,
    /// and the errors of [`Sessions::qr`](crate::Sessions::qr).
    pub async fn qr(&self, caller: &Caller, wait: Duration) -> Result<QrCode> {
        let (scope, id) = caller.may_link()?;
        let session = self.pair(&scope, &id, LinkMethod::Qr, |_| Ok(None)).await?;
        self.sessions.qr_of(&scope, session, wait).await
    }

    /// Returns a pairing code for this phone, or for the phone that the link names. Begins a pairing
    /// attempt if none is in progress, and waits up to 20 s for the code.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a link that has ended, a conflict if the link does not allow pairing
    /// codes, [`Error::Validation`] for an invalid phone or another phone than the link names, and
    /// the errors of [`Sessions::pairing_code`](crate::Sessions::pairing_code).
    pub async fn pairing_code(&self, caller: &Caller, phone: Option<&str>) -> Result<PairingCode> {
        let (scope, id) = caller.may_link()?;
        let phone_of = |link: &ShareLink| phone_for(link, phone).map(Some);
        let session = self.pair(&scope, &id, LinkMethod::Code, phone_of).await?;
        self.sessions.pairing_code_of(&scope, session).await
    }

    /// Begins or continues a pairing attempt. An attempt that the holder begins counts; a code within
    /// an attempt in progress does not.
    async fn pair(
        &self,
        scope: &Scope,
        id: &LinkId,
        method: LinkMethod,
        phone_of: impl Fn(&ShareLink) -> Result<Option<Phone>> + Send + Sync,
    ) -> Result<Session> {
        let find = || self.find_linking(scope, id);
        let decide = |(session, link): Linking| {
            let now = self.now();
            let is_live = link.is_live(now) && link.opening.is_some() && !session.is_paired();
            let link = or_not_found("link", is_live.then_some(link))?;
            if is_used_up(&session, &link) {
                return Ok(Decision::Write(self.exhaustion(scope, session, link), None));
            }
            if !link.methods.contains(&method) {
                return Err(Error::conflict("the link does not allow this way of linking"));
            }
            let phone = phone_of(&link)?;
            let before = session.spec.pairing.as_ref().map(|spec| spec.attempt);
            let paired = session.clone().pair(phone.as_ref(), now, self.sessions.deadlines())?;
            let Some(change) = paired else { return Ok(Decision::Keep(Some(session))) };
            let after = change.session.spec.pairing.as_ref().map(|spec| spec.attempt);
            if before != after && link.attempts >= MAX_LINK_PAIRINGS {
                // A failed attempt is over, and the link allows no other one.
                return Ok(Decision::Write(self.exhaustion(scope, session, link), None));
            }
            let attempts = link.attempts + u32::from(before != after);
            let link = if before == after {
                ShareLinkChange::Nothing
            } else {
                ShareLinkChange::Update(ShareLink { attempts, ..link })
            };
            let commit = link_commit(change, link, scope.actor(), &*self.ports.environment);
            let next = commit.change.session.session.clone();
            Ok(Decision::Write(commit, Some(next)))
        };
        let session = execute(&self.owned_links::<()>(scope, None), find, decide).await?;
        or_not_found("link", session)
    }

    /// Ends a link whose attempts are used up.
    async fn end_attempts(&self, scope: &Scope, id: &LinkId) -> Result<()> {
        let find = || self.find_linking(scope, id);
        let decide = |(session, link): Linking| {
            let is_over = is_used_up(&session, &link) && link.end.is_none();
            Ok(if is_over {
                Decision::Write(self.exhaustion(scope, session, link), ())
            } else {
                Decision::Keep(())
            })
        };
        execute(&self.owned_links::<()>(scope, None), find, decide).await
    }

    /// Returns the commit that ends a link whose attempts are used up.
    fn exhaustion(
        &self,
        scope: &Scope,
        session: Session,
        link: ShareLink,
    ) -> Commit<ShareLinkWrite> {
        let mut change = Change::of(session);
        let cause = RevocationCause::Attempts;
        change.add_event(EventPayload::LinkRevoked { link: link.id.clone(), cause });
        let link = ShareLinkChange::Update(link.ended(LinkOutcome::Failed, self.now()));
        link_commit(change, link, scope.actor(), &*self.ports.environment)
    }

    /// Returns the session and the link of a holder.
    pub(super) async fn find_linking(&self, scope: &Scope, id: &LinkId) -> Result<Linking> {
        let session = scope.only_session().ok_or(Error::Forbidden)?;
        let link = or_not_found("link", self.ports.store.find(scope, session, id).await?)?;
        match self.sessions.find(scope, session.as_str()).await {
            Ok(session) => Ok((session, link)),
            // A holder is told of the link alone.
            Err(Error::NotFound { .. }) => Err(Error::NotFound { noun: "link" }),
            Err(error) => Err(error),
        }
    }
}

/// Returns true if every attempt that the link allows was begun, and none is in progress.
fn is_used_up(session: &Session, link: &ShareLink) -> bool {
    link.attempts >= MAX_LINK_PAIRINGS && session.spec.pairing.is_none() && !session.is_paired()
}

fn is_readable(link: &ShareLink, now: Timestamp) -> bool {
    link.opening.is_some_and(|opening| link.is_readable_by(&opening.browser, now))
}

/// Returns the phone that a code is requested for.
fn phone_for(link: &ShareLink, phone: Option<&str>) -> Result<Phone> {
    let fault = |reason: &str| Error::Validation(vec![Violation::new(FieldPath::Phone, reason)]);
    match (&link.phone, phone) {
        (Some(named), None) => Ok(named.clone()),
        (Some(named), Some(phone)) if named.as_str() == phone => Ok(named.clone()),
        (Some(_), Some(_)) => Err(fault("the link is for another phone")),
        (None, None) => Err(fault("is required, because the link names no phone")),
        (None, Some(phone)) => Phone::parse(phone).ok_or_else(|| fault(PHONE_RULE)),
    }
}
