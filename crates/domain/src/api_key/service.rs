//! Use cases of API keys: create, list, view, revoke.

use std::{collections::BTreeSet, future::ready, sync::Arc};

use crate::{
    access::{Scope, or_not_found},
    api_key::{model::ApiKey, write::KeyWrite},
    caller::{Caller, Capabilities, Capability},
    commit::{Commit, CommitTarget, Decision, commit_once, execute},
    error::{Error, Result},
    event::{Event, payload::EventPayload},
    id::{KeyId, SessionId},
    idempotency::Recorder,
    ports::{
        authn::KeyGenerator,
        environment::Environment,
        store::{
            keys::{ApiKeyStore, KeyDirectory, KeyPage},
            written::Written,
        },
    },
    time::Timestamp,
    violation::{FieldPath, Violation},
};

/// Properties of a key to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// Name for people: 1 to 100 characters without control characters.
    pub name: String,
    /// Capabilities: at least one.
    pub capabilities: Capabilities,
    /// Time at which the key expires, in the future. `None` if it does not expire.
    pub expires_at: Option<Timestamp>,
    /// Ids of the sessions that the key is confined to: 1 to 100 sessions of the organization.
    /// `None` is all sessions.
    pub sessions: Option<Vec<String>>,
}

/// Maximum number of sessions that a key can be confined to.
pub const MAX_KEY_SESSIONS: usize = 100;

/// A new key with its full text. The text is not stored.
pub struct NewApiKey {
    /// The key as stored.
    pub key: ApiKey,
    /// Full text that the holder sends.
    pub text: String,
}

/// Omits the text of the key.
impl std::fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApiKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Use cases of API keys. Callers that are confined to named sessions have no access, because keys
/// name sessions.
#[derive(Clone)]
pub struct ApiKeys {
    store: Arc<dyn ApiKeyStore>,
    directory: Arc<dyn KeyDirectory>,
    generator: Arc<dyn KeyGenerator>,
    environment: Arc<dyn Environment>,
}

impl ApiKeys {
    /// Creates the use cases over these ports. `directory` is the instance that authenticates
    /// callers, so that a revocation invalidates its cache.
    pub fn new(
        store: Arc<dyn ApiKeyStore>,
        directory: Arc<dyn KeyDirectory>,
        generator: Arc<dyn KeyGenerator>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self { store, directory, generator, environment }
    }

    /// Returns the indexes of the requested sessions that do not exist for the caller. Missing,
    /// deleted and foreign sessions give the same answer. The list is empty if it is too long to
    /// check.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the caller may not create such a key, and errors of the store.
    pub async fn unknown_sessions(&self, caller: &Caller, spec: &KeySpec) -> Result<Vec<usize>> {
        self.unknown_in(&caller.may_grant(&spec.capabilities)?, spec).await
    }

    async fn unknown_in(&self, scope: &Scope, spec: &KeySpec) -> Result<Vec<usize>> {
        let Some(named) = spec.sessions.as_ref().filter(|named| named.len() <= MAX_KEY_SESSIONS)
        else {
            return Ok(Vec::new());
        };
        let ids: Vec<_> = named.iter().map(|name| SessionId::parse(name)).collect();
        let known = ids.iter().flatten().cloned().collect();
        let known = self.store.sessions_within(scope, &known).await?;
        let unknown = |id: &Option<SessionId>| id.as_ref().is_none_or(|id| !known.contains(id));
        Ok(ids.iter().enumerate().filter(|(_, id)| unknown(id)).map(|(index, _)| index).collect())
    }

    /// Creates a key, together with the idempotency record of the request. All sessions that the key
    /// is confined to must exist for the caller.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the caller may not grant these capabilities, [`Error::Validation`],
    /// [`Error::Full`], and errors of the store.
    pub async fn create(
        &self,
        caller: &Caller,
        spec: KeySpec,
        recorder: Recorder<'_, NewApiKey>,
    ) -> Result<NewApiKey> {
        let scope = caller.may_grant(&spec.capabilities)?;
        let now = self.environment.now();
        let mut violations = spec.violations(now);
        let unknown = self.unknown_in(&scope, &spec).await?;
        violations.extend(
            unknown
                .iter()
                .map(|index| Violation::new(FieldPath::KeySession(*index), NO_SUCH_SESSION)),
        );
        if !violations.is_empty() {
            return Err(Error::Validation(violations));
        }
        let decide = |()| {
            let new = self.generate(&scope, spec.clone(), now);
            let idempotency = recorder.map(|recorder| recorder.record(&new)).transpose()?;
            let events = vec![self.created_event(&scope, &new.key)];
            let change = KeyWrite::Insert(new.key.clone());
            Ok(Decision::Write(Commit { change, events, idempotency }, new))
        };
        let target = OwnedKeys { store: &*self.store, scope: &scope, recorder };
        execute(&target, || ready(Ok(())), decide).await
    }

    fn created_event(&self, scope: &Scope, key: &ApiKey) -> Event {
        let (id, key_name) = (key.id.clone(), key.name.clone());
        let payload = EventPayload::ApiKeyCreated { key: id, key_name };
        Event::of_organization(payload, &key.organization, scope.actor(), &*self.environment)
    }

    fn generate(&self, scope: &Scope, spec: KeySpec, now: Timestamp) -> NewApiKey {
        let id = KeyId::from_bits(self.environment.ulid());
        let secret = self.generator.generate(&id);
        let key = ApiKey {
            id,
            organization: scope.organization().clone(),
            name: spec.name,
            capabilities: spec.capabilities,
            sessions: spec.sessions.map(|named| {
                named.iter().filter_map(|name| SessionId::parse(name)).collect::<BTreeSet<_>>()
            }),
            digest: secret.digest,
            created_by: scope.actor().clone(),
            created_at: now,
            expires_at: spec.expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        NewApiKey { key, text: secret.key }
    }

    /// Returns a page of the keys that are not revoked, newest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Capability::Manage`] in the whole organization, and errors of
    /// the store.
    pub async fn list(&self, caller: &Caller, page: &KeyPage) -> Result<Vec<ApiKey>> {
        let scope = caller.may_throughout(Capability::Manage)?;
        Ok(self.store.list(&scope, page).await?)
    }

    /// Returns one key that is not revoked.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], and errors of the store.
    pub async fn view(&self, caller: &Caller, id: &str) -> Result<ApiKey> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let key = match KeyId::parse(id) {
            Some(id) => self.store.find(&scope, &id).await?,
            None => None,
        };
        or_not_found("API key", key)
    }

    /// Returns the first part of the key's text, by which people recognize the key.
    pub fn prefix(&self, key: &ApiKey) -> String {
        self.generator.prefix(&key.id)
    }

    /// Revokes a key. This router rejects the key at once, other routers within the TTL of their
    /// caches.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], and errors of the store.
    pub async fn revoke(&self, caller: &Caller, id: &str) -> Result<()> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let id = or_not_found("API key", KeyId::parse(id))?;
        let (payload, organization) =
            (EventPayload::ApiKeyRevoked { key: id.clone() }, scope.organization());
        let event =
            Event::of_organization(payload, organization, scope.actor(), &*self.environment);
        let change = KeyWrite::Revoke { id: id.clone(), at: self.environment.now() };
        let commit = Commit { change, events: vec![event], idempotency: None };
        let target = OwnedKeys { store: &*self.store, scope: &scope, recorder: None };
        // The statement decides whether the key exists, so that an unreadable key can be revoked.
        let written = commit_once(&target, &commit).await?;
        self.directory.invalidate(&id);
        or_not_found("API key", (written == Written::Done).then_some(()))
    }
}

/// The keys of a scope, as the destination of commits.
struct OwnedKeys<'a> {
    store: &'a dyn ApiKeyStore,
    scope: &'a Scope,
    recorder: Recorder<'a, NewApiKey>,
}

impl CommitTarget for OwnedKeys<'_> {
    type Commit = Commit<KeyWrite>;

    async fn write(&self, commit: &Commit<KeyWrite>) -> Result<Written> {
        Ok(self.store.commit(self.scope, commit).await??)
    }

    fn notify(&self, _: &Commit<KeyWrite>) {
        if let Some(recorder) = self.recorder {
            recorder.committed();
        }
    }
}

/// Reason of the violation for a session that does not exist for the caller.
pub const NO_SUCH_SESSION: &str = "no such session";

impl KeySpec {
    /// Returns every violation except unknown sessions.
    pub fn violations(&self, now: Timestamp) -> Vec<Violation> {
        let mut found = Vec::new();
        let length = self.name.chars().count();
        if !(1..=100).contains(&length) || self.name.chars().any(char::is_control) {
            found.push(Violation::new(
                FieldPath::KeyName,
                "1 to 100 characters, no control characters",
            ));
        }
        if self.capabilities.is_empty() {
            found.push(Violation::new(FieldPath::KeyCapabilities, "at least one"));
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            found.push(Violation::new(FieldPath::KeyExpiry, "must be in the future"));
        }
        if self.sessions.as_ref().is_some_and(|n| !(1..=MAX_KEY_SESSIONS).contains(&n.len())) {
            let bounds = format!("1 to {MAX_KEY_SESSIONS} sessions");
            found.push(Violation::new(FieldPath::KeySessions, bounds));
        }
        found
    }
}
