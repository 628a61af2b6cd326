//! Use cases of share links for their owners: create, list, view, revoke.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    access::{Scope, or_not_found},
    caller::{Caller, Capability},
    commit::{Decision, execute},
    error::{Error, Result},
    event::payload::EventPayload,
    id::{LinkId, OrganizationId, SessionId},
    idempotency::Recorder,
    ports::{
        environment::Environment,
        link_secrets::LinkSecrets,
        notify::Notifier,
        store::share_links::{ShareLinkDirectory, ShareLinkPage, ShareLinkStore},
    },
    session::{change::Change, model::Session, pairing::Phone, service::Sessions},
    share_link::{
        model::{LinkOutcome, ShareLink},
        owned_links::{OwnedLinks, link_commit},
        revocation_cause::RevocationCause,
        spec::ShareLinkSpec,
        write::ShareLinkChange,
    },
    time::Timestamp,
    violation::Violation,
};

/// Maximum number of links of one session that have neither ended nor expired.
pub const MAX_LIVE_LINKS: u64 = 5;

/// Ports of [`ShareLinks`].
#[derive(Clone)]
pub struct ShareLinkPorts {
    /// Store of links.
    pub store: Arc<dyn ShareLinkStore>,
    /// Lookup of links by their secrets.
    pub directory: Arc<dyn ShareLinkDirectory>,
    /// Generates and reads secrets.
    pub secrets: Arc<dyn LinkSecrets>,
    /// Clock and id generator.
    pub environment: Arc<dyn Environment>,
    /// Wakes the worker and the requests that wait for a session.
    pub notifier: Arc<dyn Notifier>,
}

/// The origins that the operator allows as return addresses, per organization. An origin is scheme,
/// host and port, in lower case and without a default port.
pub type ReturnOrigins = BTreeMap<OrganizationId, BTreeSet<String>>;

/// Use cases of share links.
#[derive(Clone)]
pub struct ShareLinks {
    pub(super) ports: ShareLinkPorts,
    pub(super) sessions: Sessions,
    return_origins: Arc<ReturnOrigins>,
}

/// A new link with the text that opens the link. The text is not stored.
pub struct NewShareLink {
    /// The link as stored.
    pub link: ShareLink,
    /// Text that opens the link.
    pub secret: String,
}

/// Omits the secret.
impl std::fmt::Debug for NewShareLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewShareLink").field("link", &self.link).finish_non_exhaustive()
    }
}

impl ShareLinks {
    /// Creates the use cases over these ports.
    pub fn new(ports: ShareLinkPorts, sessions: Sessions, return_origins: ReturnOrigins) -> Self {
        Self { ports, sessions, return_origins: Arc::new(return_origins) }
    }

    /// Returns every violation in the properties of a link that the caller wants to create.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Capability::Manage`].
    pub fn violations(&self, caller: &Caller, spec: &ShareLinkSpec) -> Result<Vec<Violation>> {
        Ok(self.violations_within(&caller.may(Capability::Manage)?, spec))
    }

    fn violations_within(&self, scope: &Scope, spec: &ShareLinkSpec) -> Vec<Violation> {
        spec.violations(self.return_origins.get(scope.organization()))
    }

    /// Creates a link to a session that is not paired.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Capability::Manage`], [`Error::NotFound`],
    /// [`Error::Validation`], a conflict if the session is paired or has [`MAX_LIVE_LINKS`] live
    /// links, [`Error::Full`], and errors of the store.
    pub async fn create(
        &self,
        caller: &Caller,
        session: &str,
        spec: &ShareLinkSpec,
        recorder: Recorder<'_, NewShareLink>,
    ) -> Result<NewShareLink> {
        let scope = caller.may(Capability::Manage)?;
        let violations = self.violations_within(&scope, spec);
        if !violations.is_empty() {
            return Err(Error::Validation(violations));
        }
        let find = || async {
            let session = self.sessions.find(&scope, session).await?;
            let live = self.ports.store.live_count(&scope, &session.id, self.now()).await?;
            Ok((session, live))
        };
        let decide = |(session, live): (Session, u64)| {
            if session.is_paired() {
                return Err(Error::conflict("the session is paired; log it out to pair it again"));
            }
            if live >= MAX_LIVE_LINKS {
                return Err(Error::conflict(
                    "the session has as many open links as it may have; revoke one of them first",
                ));
            }
            let new = self.new_link(&scope, session.id.clone(), spec);
            let mut change = Change::of(session);
            change.add_event(EventPayload::LinkCreated {
                link: new.link.id.clone(),
                title: new.link.title.clone(),
                expires_at: new.link.expires_at,
            });
            let link = ShareLinkChange::Insert(new.link.clone());
            let mut commit = link_commit(change, link, scope.actor(), &*self.ports.environment);
            commit.idempotency = recorder.map(|recorder| recorder.record(&new)).transpose()?;
            Ok(Decision::Write(commit, new))
        };
        execute(&self.owned_links(&scope, recorder), find, decide).await
    }

    fn new_link(&self, scope: &Scope, session: SessionId, spec: &ShareLinkSpec) -> NewShareLink {
        let id = LinkId::from_bits(self.ports.environment.ulid());
        let (secret, now) = (self.ports.secrets.generate(&id), self.now());
        let link = ShareLink {
            id,
            organization: scope.organization().clone(),
            session,
            digest: secret.digest,
            title: spec.title.clone(),
            methods: spec.methods.clone(),
            phone: spec.phone.as_deref().and_then(Phone::parse),
            return_target: spec.return_target.clone(),
            created_by: scope.actor().clone(),
            created_at: now,
            expires_at: now.plus(spec.life),
            opening: None,
            attempts: 0,
            end: None,
        };
        NewShareLink { link, secret: secret.text }
    }

    /// Returns a page of the links of a session, newest first. Links stay listed for an hour after
    /// their end.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] for the session, and errors of the store.
    pub async fn list(
        &self,
        caller: &Caller,
        session: &str,
        page: &ShareLinkPage,
    ) -> Result<Vec<ShareLink>> {
        let scope = caller.may(Capability::Manage)?;
        let session = self.sessions.find(&scope, session).await?;
        Ok(self.ports.store.list(&scope, &session.id, page).await?)
    }

    /// Returns one link.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], and errors of the store.
    pub async fn view(&self, caller: &Caller, session: &str, id: &str) -> Result<ShareLink> {
        let scope = caller.may(Capability::Manage)?;
        self.find(&scope, session, id).await
    }

    /// Revokes a link that has not ended. A pairing attempt that the holder began goes on.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] also for a link that has ended or expired, and
    /// errors of the store.
    pub async fn revoke(&self, caller: &Caller, session: &str, id: &str) -> Result<()> {
        let scope = caller.may(Capability::Manage)?;
        let find = || async {
            let link = self.find(&scope, session, id).await?;
            Ok((self.sessions.find(&scope, session).await?, link))
        };
        let decide = |(session, link): (Session, ShareLink)| {
            let now = self.now();
            let link = or_not_found("link", link.is_live(now).then_some(link))?;
            let mut change = Change::of(session);
            change.add_event(EventPayload::LinkRevoked {
                link: link.id.clone(),
                cause: RevocationCause::Requested,
            });
            let link = ShareLinkChange::Update(link.ended(LinkOutcome::Revoked, now));
            let commit = link_commit(change, link, scope.actor(), &*self.ports.environment);
            Ok(Decision::Write(commit, ()))
        };
        execute(&self.owned_links::<()>(&scope, None), find, decide).await
    }

    pub(super) async fn find(&self, scope: &Scope, session: &str, id: &str) -> Result<ShareLink> {
        let link = match (SessionId::parse(session), LinkId::parse(id)) {
            (Some(session), Some(id)) => self.ports.store.find(scope, &session, &id).await?,
            _ => None,
        };
        or_not_found("link", link)
    }

    pub(super) fn owned_links<'a, T>(
        &'a self,
        scope: &'a Scope,
        recorder: Recorder<'a, T>,
    ) -> OwnedLinks<'a, T> {
        OwnedLinks { store: &*self.ports.store, scope, notifier: &*self.ports.notifier, recorder }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.ports.environment.now()
    }
}
