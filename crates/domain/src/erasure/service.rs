//! The use case of an organization's erasure, in small steps. Each step is derived from the stored
//! state alone, so that an interrupted erasure continues where it was.

use std::sync::Arc;

use crate::{
    access::Scope,
    api_key::service::ApiKeys,
    caller::{Caller, Capability},
    commit::{Commit, CommitTarget, Decision, commit_once, execute},
    deadlines::Deadlines,
    error::{Error, Result},
    event::{Event, payload::EventPayload},
    id::OrganizationId,
    ports::{
        environment::Environment,
        store::{
            erasure::{ErasedRows, ErasureStore},
            keys::KeyPage,
            sessions::{SessionFilter, SessionPage, SessionStore},
            webhooks::{WebhookPage, WebhookStore},
            written::Written,
        },
    },
    session::{model::Session, owned_sessions::OwnedSessions, partial_session::PartialSession},
    webhook::write::WebhookWrite,
};

/// Maximum number of objects that one step deletes.
const MAX_OBJECTS: u32 = 100;
/// Maximum number of rows that one step removes.
const MAX_ROWS: u32 = 1_000;

/// What a step of an erasure removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasedKind {
    /// Sessions. Their devices are unlinked and their messages are removed afterwards.
    Sessions,
    /// API keys, which are revoked at once.
    ApiKeys,
    /// Webhooks with the state of their deliveries.
    Webhooks,
    /// Other rows.
    Rows(ErasedRows),
}

/// A step of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasureStep {
    /// The step removed objects or rows.
    Removed {
        /// Their kind.
        kind: ErasedKind,
        /// Their number, greater than 0.
        count: u64,
    },
    /// Workers unlink devices or remove messages of deleted sessions. The next step is possible
    /// afterwards.
    Waiting {
        /// Number of unfinished deletions.
        deletions: u64,
    },
    /// No row is left.
    Done,
}

/// Ports of [`Erasure`].
#[derive(Clone)]
pub struct ErasurePorts {
    /// Store of sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// Store of webhooks.
    pub webhooks: Arc<dyn WebhookStore>,
    /// Store of the other rows.
    pub rows: Arc<dyn ErasureStore>,
    /// Clock and id generator.
    pub environment: Arc<dyn Environment>,
}

/// Use case of an organization's erasure, for operators only. Routers notice its changes by
/// themselves.
#[derive(Clone)]
pub struct Erasure {
    ports: ErasurePorts,
    keys: ApiKeys,
    deadlines: Deadlines,
}

impl Erasure {
    /// Creates the use case.
    pub fn new(ports: ErasurePorts, keys: ApiKeys, deadlines: Deadlines) -> Self {
        Self { ports, keys, deadlines }
    }

    /// Performs the next step of the erasure.
    ///
    /// # Errors
    /// Errors of the stores. A repetition continues the erasure.
    pub async fn step(&self, organization: &OrganizationId) -> Result<ErasureStep> {
        let operator = Caller::operator(organization.clone());
        let scope = operator.may_throughout(Capability::Manage)?;
        let objects = [
            (ErasedKind::Sessions, self.delete_sessions(&scope).await?),
            (ErasedKind::ApiKeys, self.revoke_keys(&operator).await?),
            (ErasedKind::Webhooks, self.delete_webhooks(&scope).await?),
        ];
        if let Some((kind, count)) = objects.into_iter().find(|(_, count)| *count > 0) {
            return Ok(ErasureStep::Removed { kind, count });
        }
        let deletions = self.ports.rows.unfinished_deletions(organization).await?;
        if deletions > 0 {
            return Ok(ErasureStep::Waiting { deletions });
        }
        for rows in ErasedRows::ALL {
            let count = self.ports.rows.erase_rows(organization, rows, MAX_ROWS).await?;
            if count > 0 {
                return Ok(ErasureStep::Removed { kind: ErasedKind::Rows(rows), count });
            }
        }
        Ok(ErasureStep::Done)
    }

    async fn delete_sessions(&self, scope: &Scope) -> Result<u64> {
        let page =
            SessionPage { filter: SessionFilter::default(), after: None, limit: MAX_OBJECTS };
        let mut count = 0;
        for session in self.ports.sessions.list(scope, &page).await? {
            count += u64::from(self.delete_session(scope, &session).await?);
        }
        Ok(count)
    }

    /// Deletes a session. Returns false if another caller deleted the session first.
    async fn delete_session(&self, scope: &Scope, session: &Session) -> Result<bool> {
        let store = &*self.ports.sessions;
        let target = OwnedSessions { store, scope, notifier: None, recorder: None };
        let decide = |session: Option<Session>| {
            let Some(session) = session else { return Ok(Decision::Keep(false)) };
            let found = PartialSession::from(&session);
            let commit = found.deletion(scope, &self.deadlines, &*self.ports.environment);
            Ok(Decision::Write(commit, true))
        };
        execute(&target, || async { Ok(store.find(scope, &session.id).await?) }, decide).await
    }

    async fn revoke_keys(&self, operator: &Caller) -> Result<u64> {
        let page = KeyPage { after: None, limit: MAX_OBJECTS };
        let mut count = 0;
        for key in self.keys.list(operator, &page).await? {
            count += match self.keys.revoke(operator, key.id.as_str()).await {
                Ok(()) => 1,
                // Another caller revoked the key first.
                Err(Error::NotFound { .. }) => 0,
                Err(error) => return Err(error),
            };
        }
        Ok(count)
    }

    async fn delete_webhooks(&self, scope: &Scope) -> Result<u64> {
        let (store, environment) = (&*self.ports.webhooks, &*self.ports.environment);
        let page = WebhookPage { after: None, limit: MAX_OBJECTS };
        let mut count = 0;
        for webhook in store.list(scope, &page).await? {
            let payload = EventPayload::WebhookDeleted { webhook: webhook.id.clone() };
            let organization = scope.organization();
            let event = Event::of_organization(payload, organization, scope.actor(), environment);
            let (id, at) = (webhook.id, environment.now());
            let change = WebhookWrite::Delete { id, expected: None, at };
            let commit = Commit { change, events: vec![event], idempotency: None };
            let written = commit_once(&ErasedWebhooks { store, scope }, &commit).await?;
            count += u64::from(written == Written::Done);
        }
        Ok(count)
    }
}

/// The webhooks of a scope, as the destination of commits without waiters.
struct ErasedWebhooks<'a> {
    store: &'a dyn WebhookStore,
    scope: &'a Scope,
}

impl CommitTarget for ErasedWebhooks<'_> {
    type Commit = Commit<WebhookWrite>;

    async fn write(&self, commit: &Commit<WebhookWrite>) -> Result<Written> {
        Ok(self.store.commit(self.scope, commit).await??)
    }

    fn notify(&self, _: &Commit<WebhookWrite>) {}
}
