//! Use cases of browser sessions.
//!
//! The rights of a session are read for each request, from the database and never from a cache: a
//! logout and the revocation of a key hold at once on every router.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    access::or_not_found,
    api_key::model::ApiKey,
    browser_session::{
        digest::BrowserSessionDigest,
        model::{BrowserSession, BrowserSessionHolder, SignIn},
    },
    caller::Caller,
    error::{Error, Result},
    id::OrganizationId,
    ports::{
        authn::Refused,
        environment::Environment,
        store::{
            browser_sessions::BrowserSessionStore,
            keys::{KeyDirectory, KeyValidity},
        },
    },
};

/// Minimum time between two records of the use of a session.
const USE_RESOLUTION: Duration = Duration::from_secs(60);
/// The logged cause of every session that is not accepted.
const NOT_VALID: &str = "unknown or ended browser session, or session of a key that is not valid";

/// Limits of browser sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrowserSessionLimits {
    /// Time without a request after which a session ends.
    pub idle: Duration,
    /// Time after the login at which a session ends.
    pub lifetime: Duration,
    /// Maximum number of sessions of one key or person. A further login ends the session that was
    /// not used for longest.
    pub per_holder: u32,
}

impl Default for BrowserSessionLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(12 * 3600),
            lifetime: Duration::from_secs(7 * 86_400),
            per_holder: 20,
        }
    }
}

/// Ports of [`BrowserSessions`].
#[derive(Clone)]
pub struct BrowserSessionPorts {
    /// Store of browser sessions.
    pub store: Arc<dyn BrowserSessionStore>,
    /// Finds the keys of sessions.
    pub keys: Arc<dyn KeyValidity>,
    /// Records the uses of keys.
    pub directory: Arc<dyn KeyDirectory>,
    /// The clock.
    pub environment: Arc<dyn Environment>,
}

/// Use cases of browser sessions.
#[derive(Clone)]
pub struct BrowserSessions {
    ports: BrowserSessionPorts,
    limits: BrowserSessionLimits,
}

impl BrowserSessions {
    /// Creates the use cases over stores.
    pub fn new(ports: BrowserSessionPorts, limits: BrowserSessionLimits) -> Self {
        Self { ports, limits }
    }

    /// Begins the session of an accepted credential. `digest` is of a new secret.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] for a credential that has expired and for a key that is revoked, and
    /// errors of the store.
    pub async fn open(
        &self,
        digest: BrowserSessionDigest,
        sign_in: SignIn,
    ) -> Result<BrowserSession> {
        let now = self.ports.environment.now();
        let latest = now.plus(self.limits.lifetime);
        let ends_at = sign_in.expires_at.map_or(latest, |at| at.min(latest));
        let session = BrowserSession {
            digest,
            holder: sign_in.holder,
            organization: sign_in.organization,
            created_at: now,
            last_used_at: now,
            ends_at,
            expires_at: ends_at.min(now.plus(self.limits.idle)),
        };
        // The credential may have been checked against a cache, which knows of a revocation later.
        let is_revoked = match &session.holder {
            BrowserSessionHolder::Key(id) => self.ports.keys.valid_key(id, now).await?.is_none(),
            BrowserSessionHolder::Person(_) => false,
        };
        if is_revoked || !session.is_valid(now) {
            return Err(Error::Unauthorized);
        }
        self.ports.store.insert(&session, self.limits.per_holder).await?;
        Ok(session)
    }

    /// Returns the session of a cookie with its caller, and records the use.
    ///
    /// # Errors
    /// [`Refused`]; the cause is the same for every session that is not accepted.
    pub async fn authenticate(
        &self,
        digest: BrowserSessionDigest,
    ) -> Result<(Caller, BrowserSession), Refused> {
        let unavailable = |error: crate::ports::PortError| Refused::Unavailable(error.into());
        let now = self.ports.environment.now();
        let found = self.ports.store.find(digest, now).await.map_err(unavailable)?;
        let session = found.filter(|session| session.is_valid(now));
        let session = session.ok_or(Refused::Denied(NOT_VALID))?;
        let caller = match &session.holder {
            BrowserSessionHolder::Key(id) => {
                let key = self.ports.keys.valid_key(id, now).await.map_err(unavailable)?;
                key.map(ApiKey::into_caller).ok_or(Refused::Denied(NOT_VALID))?
            }
            BrowserSessionHolder::Person(claims) => {
                claims.caller(session.organization.as_ref(), None)
            }
        };
        let expires_at = caller.expires_at.map_or(session.ends_at, |at| at.min(session.ends_at));
        let caller =
            Caller { expires_at: Some(expires_at), browser_session: Some(digest), ..caller };
        Ok((caller, self.used(session).await))
    }

    /// Records the use of a session and of its key, at most once in [`USE_RESOLUTION`]. A use that
    /// cannot be recorded does not end the session.
    async fn used(&self, mut session: BrowserSession) -> BrowserSession {
        let now = self.ports.environment.now();
        if session.last_used_at.plus(USE_RESOLUTION) > now {
            return session;
        }
        let expires_at = session.ends_at.min(now.plus(self.limits.idle));
        if self.ports.store.record_use(session.digest, now, expires_at).await.is_ok() {
            (session.last_used_at, session.expires_at) = (now, expires_at);
        }
        if let BrowserSessionHolder::Key(id) = &session.holder {
            let _ = self.ports.directory.record_use(id, now).await;
        }
        session
    }

    /// Ends a session. Ending a session that has ended does nothing.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn close(&self, digest: BrowserSessionDigest) -> Result<()> {
        Ok(self.ports.store.remove(digest).await?)
    }

    /// Returns the organization of each of the sessions that has not ended.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn organizations(
        &self,
        digests: &BTreeSet<BrowserSessionDigest>,
    ) -> Result<BTreeMap<BrowserSessionDigest, Option<OrganizationId>>> {
        Ok(self.ports.store.organizations(digests, self.ports.environment.now()).await?)
    }

    /// Lets a session act for another organization of its login.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an organization that the login does not name, and errors of the store.
    pub async fn switch(&self, session: &BrowserSession, organization: &str) -> Result<()> {
        let chosen = OrganizationId::parse(organization)
            .filter(|organization| session.organizations().contains(organization));
        let chosen = or_not_found("organization", chosen)?;
        Ok(self.ports.store.set_organization(session.digest, &chosen).await?)
    }
}
