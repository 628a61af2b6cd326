//! Use cases of webhooks: create, list, view, update, delete.

use std::{future::ready, sync::Arc};

use crate::{
    access::{Scope, or_not_found},
    caller::{Caller, Capability},
    commit::{Commit, Decision, commit_once, execute},
    error::{Error, Result},
    event::{Event, payload::EventPayload},
    id::WebhookId,
    idempotency::Recorder,
    ports::{
        environment::Environment,
        notify::Notifier,
        seal::SecretSealer,
        store::{
            feed::{Feed, OrganizationFeed},
            sessions::SessionStore,
            webhooks::{WebhookPage, WebhookStore},
            written::Written,
        },
        webhook_sender::{EventRenderer, WebhookSender},
    },
    session::version::Version,
    violation::{FieldPath, Violation},
    webhook::{
        credentials::seal_error,
        event_selection::may_subscribe,
        field::WebhookField,
        model::{CustomHeaders, Webhook, WebhookSecrets, WebhookSettings},
        owned_webhooks::OwnedWebhooks,
        retry_policy::RetryPolicy,
        settings::{CheckedPatch, WebhookPatch},
        write::WebhookWrite,
    },
};

/// Ports of [`Webhooks`].
#[derive(Clone)]
pub struct WebhookPorts {
    /// Store of webhooks.
    pub store: Arc<dyn WebhookStore>,
    /// Store of sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// The feed of all organizations.
    pub feed: Arc<dyn Feed>,
    /// The feed of one organization.
    pub organization_feed: Arc<dyn OrganizationFeed>,
    /// Seals secrets.
    pub sealer: Arc<dyn SecretSealer>,
    /// Sends requests.
    pub sender: Arc<dyn WebhookSender>,
    /// Renders events.
    pub render: EventRenderer,
    /// Clock and id generator.
    pub environment: Arc<dyn Environment>,
    /// Wakes the dispatcher of this process.
    pub notifier: Arc<dyn Notifier>,
}

/// Use cases of webhooks. Callers that are confined to named sessions have no access, because events
/// name sessions, keys and users.
#[derive(Clone)]
pub struct Webhooks {
    pub(super) ports: WebhookPorts,
}

/// Reason of the violation for a session that does not exist for the caller.
const NO_SUCH_SESSION: &str = "no such session";

impl Webhooks {
    /// Creates the use cases over these ports.
    pub fn new(ports: WebhookPorts) -> Self {
        Self { ports }
    }

    /// Creates a webhook. Its deliveries begin with the events after the creation, the event of the
    /// creation included.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Validation`], [`Error::Full`], a conflict for a secret without
    /// a seal key, and errors of the stores.
    pub async fn create(
        &self,
        caller: &Caller,
        patch: WebhookPatch,
        recorder: Recorder<'_, Webhook>,
    ) -> Result<Webhook> {
        let (scope, checked) = self.check(caller, &patch).await?;
        let webhook = self.new_webhook(&scope, caller, &patch, checked).await?;
        // Events that are committed from here on come after the position.
        let start = self.ports.feed.horizon().await?.safe;
        let decide = |()| {
            let (id, origin) = (webhook.id.clone(), webhook.settings.url.origin.clone());
            let event = self.event(&scope, EventPayload::WebhookCreated { webhook: id, origin });
            let idempotency = recorder.map(|recorder| recorder.record(&webhook)).transpose()?;
            let change = WebhookWrite::Insert { webhook: webhook.clone(), start };
            let commit = Commit { change, events: vec![event], idempotency };
            Ok(Decision::Write(commit, webhook.clone()))
        };
        execute(&self.owned(&scope, recorder), || ready(Ok(())), decide).await
    }

    async fn new_webhook(
        &self,
        scope: &Scope,
        caller: &Caller,
        patch: &WebhookPatch,
        checked: CheckedPatch,
    ) -> Result<Webhook> {
        let (sealer, now) = (&*self.ports.sealer, self.ports.environment.now());
        let url = checked.url.ok_or_else(|| Error::Internal("a webhook without a URL".into()))?;
        let mut webhook = Webhook {
            id: WebhookId::from_bits(self.ports.environment.ulid()),
            organization: scope.organization().clone(),
            settings: WebhookSettings {
                url,
                session: patch.session_id().flatten(),
                events: checked.events.unwrap_or_default(),
                active: patch.active.unwrap_or(true),
                ordered: patch.ordered.unwrap_or(true),
                headers: CustomHeaders::default(),
                retry_policy: patch.retry_policy.apply(RetryPolicy::default()),
            },
            secrets: WebhookSecrets::default(),
            paused: false,
            disabled: None,
            resumed_at: None,
            capabilities: caller.capabilities.clone(),
            created_by: scope.actor().clone(),
            created_at: now,
            updated_at: now,
            version: Version(1),
        };
        let headers = self.patched_headers(patch, &[])?;
        webhook.settings.headers =
            webhook.seal_headers(sealer, headers).await.map_err(seal_error)?;
        if let Some(Some(secret)) = &patch.secret {
            let current = webhook.seal_secret(sealer, secret).await.map_err(seal_error)?;
            webhook.secrets.current = Some(current);
        }
        Ok(webhook)
    }

    /// Checks the right of the caller, and everything that does not depend on the webhook.
    pub(super) async fn check(
        &self,
        caller: &Caller,
        patch: &WebhookPatch,
    ) -> Result<(Scope, CheckedPatch)> {
        let (checked, mut violations) = patch.check(&*self.ports.sender);
        let scope = may_subscribe(caller, checked.events.as_deref().unwrap_or_default())?;
        if let Some(Some(_)) = &patch.session {
            let known = match patch.session_id().flatten() {
                Some(id) => self.ports.sessions.find(&scope, &id).await?.is_some(),
                None => false,
            };
            if !known {
                let field = FieldPath::Webhook(WebhookField::Session);
                violations.push(Violation::new(field, NO_SUCH_SESSION));
            }
        }
        if let (Some(url), true) = (&checked.url, violations.is_empty()) {
            let allowed = self.ports.sender.check_destination(scope.organization(), url).await;
            let field = FieldPath::Webhook(WebhookField::Url);
            violations.extend(allowed.err().map(|reason| Violation::new(field, reason)));
        }
        if violations.is_empty() {
            Ok((scope, checked))
        } else {
            Err(Error::Validation(violations))
        }
    }

    /// Returns a page of the webhooks, newest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Capability::Manage`] in the whole organization, and errors of
    /// the store.
    pub async fn list(
        &self,
        caller: &Caller,
        page: &WebhookPage<WebhookId>,
    ) -> Result<Vec<Webhook>> {
        let scope = caller.may_throughout(Capability::Manage)?;
        Ok(self.ports.store.list(&scope, page).await?)
    }

    /// Returns one webhook.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], and errors of the store.
    pub async fn view(&self, caller: &Caller, id: &str) -> Result<Webhook> {
        let scope = caller.may_throughout(Capability::Manage)?;
        self.find(&scope, id).await
    }

    /// Deletes a webhook with everything that belongs to it. A webhook with an unreadable row is
    /// deleted too, if the caller expects no version.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::PreconditionFailed`] at another version,
    /// and errors of the store.
    pub async fn delete(&self, caller: &Caller, id: &str, expected: Option<Version>) -> Result<()> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let id = or_not_found("webhook", WebhookId::parse(id))?;
        if expected.is_some() {
            self.find(&scope, id.as_str()).await?.require_version(expected)?;
        }
        let event = self.event(&scope, EventPayload::WebhookDeleted { webhook: id.clone() });
        let at = self.ports.environment.now();
        let change = WebhookWrite::Delete { id: id.clone(), expected, at };
        let commit = Commit { change, events: vec![event], idempotency: None };
        if commit_once(&self.owned::<()>(&scope, None), &commit).await? == Written::Done {
            return Ok(());
        }
        // Another writer changed or deleted the webhook in between.
        self.find(&scope, id.as_str()).await?;
        Err(Error::PreconditionFailed)
    }

    pub(super) fn owned<'a, T: ?Sized>(
        &'a self,
        scope: &'a Scope,
        recorder: Recorder<'a, T>,
    ) -> OwnedWebhooks<'a, T> {
        let (store, notifier) = (&*self.ports.store, &*self.ports.notifier);
        OwnedWebhooks { store, scope, notifier, recorder }
    }

    pub(super) fn event(&self, scope: &Scope, payload: EventPayload) -> Event {
        let organization = scope.organization();
        Event::of_organization(payload, organization, scope.actor(), &*self.ports.environment)
    }

    pub(super) async fn find(&self, scope: &Scope, id: &str) -> Result<Webhook> {
        let webhook = match WebhookId::parse(id) {
            Some(id) => self.ports.store.find(scope, &id).await?,
            None => None,
        };
        or_not_found("webhook", webhook)
    }
}

impl Webhook {
    /// Returns the webhook if it has the version that the caller expects.
    pub(super) fn require_version(self, expected: Option<Version>) -> Result<Self> {
        match expected {
            Some(version) if version != self.version => Err(Error::PreconditionFailed),
            _ => Ok(self),
        }
    }
}
