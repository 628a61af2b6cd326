//! Making, listing and revoking keys.

use std::{collections::BTreeSet, sync::Arc};

use super::ApiKey;
use crate::{
    Caller, Capabilities, Capability, Error, EventName, KeyId, NewEvent, RecordResponse, Result,
    SessionId, Timestamp, Violation, idempotency, or_not_found,
    ports::{ApiKeyStore, Environment, KeyDirectory, KeyGenerator, KeyPage, Written},
};

/// What a new key is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// What people call it: 1–100 characters.
    pub name: String,
    /// What it can do: at least one capability.
    pub capabilities: Capabilities,
    /// When it stops working by itself; in the future.
    pub expires_at: Option<Timestamp>,
    /// The sessions it is confined to, as they are named: 1–100 of its organization's.
    pub sessions: Option<Vec<String>>,
}

/// How many sessions a key can be confined to.
pub const MAX_KEY_SESSIONS: usize = 100;

/// A key that is being made, and its whole text, which nobody can ask for again.
pub struct NewApiKey {
    /// What will be known of it.
    pub key: ApiKey,
    /// What its holder will send.
    pub text: String,
}

/// Without the text.
impl std::fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApiKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The use cases of API keys. They are for callers that are not confined to named sessions: a key's
/// particulars name sessions.
#[derive(Clone)]
pub struct ApiKeys {
    store: Arc<dyn ApiKeyStore>,
    directory: Arc<dyn KeyDirectory>,
    generator: Arc<dyn KeyGenerator>,
    environment: Arc<dyn Environment>,
    recorder: Option<Arc<dyn RecordResponse<NewApiKey>>>,
}

impl ApiKeys {
    /// The use cases over these ports. `directory` is the one that callers are let in by.
    pub fn new(
        store: Arc<dyn ApiKeyStore>,
        directory: Arc<dyn KeyDirectory>,
        generator: Arc<dyn KeyGenerator>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self { store, directory, generator, environment, recorder: None }
    }

    /// The same, for a request whose answer is kept: a key that is made is written with a receipt.
    #[must_use]
    pub fn recording(&self, recorder: Arc<dyn RecordResponse<NewApiKey>>) -> Self {
        Self { recorder: Some(recorder), ..self.clone() }
    }

    /// Which of the sessions that the key is to be confined to do not exist for the caller, by their
    /// places in the list. Missing, deleted and another organization's are the same.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the caller may not make such a key.
    pub async fn unknown_sessions(&self, caller: &Caller, spec: &KeySpec) -> Result<Vec<usize>> {
        let scope = caller.may_grant(&spec.capabilities)?;
        let Some(named) = spec.sessions.as_ref().filter(|named| named.len() <= MAX_KEY_SESSIONS)
        else {
            return Ok(Vec::new());
        };
        let ids: Vec<_> = named.iter().map(|name| SessionId::parse(name)).collect();
        let known = ids.iter().flatten().cloned().collect();
        let known = self.store.sessions_within(&scope, &known).await?;
        let unknown = |id: &Option<SessionId>| id.as_ref().is_none_or(|id| !known.contains(id));
        Ok(ids.iter().enumerate().filter(|(_, id)| unknown(id)).map(|(index, _)| index).collect())
    }

    /// A new key. One that is confined to sessions names only sessions that exist for the caller.
    pub async fn create(&self, caller: &Caller, spec: KeySpec) -> Result<NewApiKey> {
        let scope = caller.may_grant(&spec.capabilities)?;
        let now = self.environment.now();
        let mut violations = spec.violations(now);
        let unknown = self.unknown_sessions(caller, &spec).await?;
        violations.extend(
            unknown.iter().map(|n| Violation::new(format!("/sessions/{n}"), NO_SUCH_SESSION)),
        );
        if !violations.is_empty() {
            return Err(Error::Validation(violations));
        }
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
        let event = NewEvent::new(
            EventName::ApiKeyCreated,
            vec![("key", key.id.as_str().into()), ("name", key.name.as_str().into())],
        );
        let event = event.of_organization(&key.organization, scope.actor(), &*self.environment);
        let new = NewApiKey { key, text: secret.key };
        let record = self.recorder.as_ref().map(|recorder| recorder.record(&new)).transpose()?;
        match self.store.insert(&scope, &new.key, &[event], record.as_ref()).await? {
            Written::Repeated => Err(idempotency::duplicate_request()),
            Written::Refused(refusal) => Err(refusal.into()),
            Written::Done | Written::Raced => {
                if let Some(recorder) = &self.recorder {
                    recorder.committed();
                }
                Ok(new)
            }
        }
    }

    /// A page of the keys that were not revoked, newest first.
    pub async fn list(&self, caller: &Caller, page: &KeyPage) -> Result<Vec<ApiKey>> {
        let scope = caller.may_throughout(Capability::Manage)?;
        Ok(self.store.list(&scope, page).await?)
    }

    /// One key that was not revoked.
    pub async fn view(&self, caller: &Caller, id: &str) -> Result<ApiKey> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let key = match KeyId::parse(id) {
            Some(id) => self.store.find(&scope, &id).await?,
            None => None,
        };
        or_not_found("API key", key)
    }

    /// How a key's text begins, for people to recognise it by.
    pub fn prefix(&self, key: &ApiKey) -> String {
        self.generator.prefix(&key.id)
    }

    /// Ends a key for good: here at once, at other routers within what they remember keys for.
    pub async fn revoke(&self, caller: &Caller, id: &str) -> Result<()> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let id = or_not_found("API key", KeyId::parse(id))?;
        let event = NewEvent::new(EventName::ApiKeyRevoked, vec![("key", id.as_str().into())]);
        let event = event.of_organization(scope.organization(), scope.actor(), &*self.environment);
        let written = self.store.revoke(&scope, &id, self.environment.now(), &[event]).await?;
        self.directory.invalidate(&id);
        or_not_found("API key", (written == Written::Done).then_some(()))
    }
}

/// What is wrong with naming a session that does not exist for the caller, whyever it does not.
pub const NO_SUCH_SESSION: &str = "no such session";

impl KeySpec {
    /// Everything that is wrong with it by itself; fields are JSON pointers in the API's spelling.
    pub fn violations(&self, now: Timestamp) -> Vec<Violation> {
        let mut found = Vec::new();
        let length = self.name.chars().count();
        if !(1..=100).contains(&length) || self.name.chars().any(char::is_control) {
            found.push(Violation::new("/name", "1 to 100 characters, no control characters"));
        }
        if self.capabilities.is_empty() {
            found.push(Violation::new("/capabilities", "at least one"));
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            found.push(Violation::new("/expiresAt", "must be in the future"));
        }
        if self.sessions.as_ref().is_some_and(|n| !(1..=MAX_KEY_SESSIONS).contains(&n.len())) {
            let bounds = format!("1 to {MAX_KEY_SESSIONS} sessions, or null for all");
            found.push(Violation::new("/sessions", bounds));
        }
        found
    }
}
