//! The update of a webhook's settings.

use crate::{
    access::Scope,
    caller::Caller,
    commit::{Commit, Decision, execute},
    error::{Error, Result},
    event::payload::EventPayload,
    feed::position::FeedPosition,
    idempotency::Recorder,
    ports::{
        seal::{SealError, SealedSecret},
        webhook_sender::CheckedHeader,
    },
    session::version::Version,
    violation::{FieldPath, Violation},
    webhook::{
        credentials::seal_error,
        field::WebhookField,
        model::{CustomHeaders, HeaderPair, Webhook},
        service::Webhooks,
        settings::{CheckedPatch, WebhookPatch},
        write::WebhookWrite,
    },
};

/// A webhook with the parts of a patch that need its present state or a port.
struct Prepared {
    webhook: Webhook,
    /// `None` keeps the headers.
    headers: Option<CustomHeaders>,
    /// `None` keeps the secret.
    #[expect(clippy::option_option, reason = "the outer option says whether the secret changes")]
    secret: Option<Option<SealedSecret>>,
    /// Position from which a webhook that becomes active delivers events.
    start: Option<FeedPosition>,
}

impl Webhooks {
    /// Changes settings.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Validation`], [`Error::NotFound`],
    /// [`Error::PreconditionFailed`] at another version than `expected`, a conflict for a secret
    /// without a seal key, and errors of the stores.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &str,
        expected: Option<Version>,
        patch: WebhookPatch,
    ) -> Result<Webhook> {
        let (scope, checked) = self.check(caller, &patch).await?;
        let find = || async {
            let webhook = self.find(&scope, id).await?.require_version(expected)?;
            self.prepare(webhook, &patch).await
        };
        let decide = |prepared: Prepared| {
            let restart = prepared.start;
            let webhook = prepared.webhook.clone();
            let (next, changed) = self.patched(prepared, caller, &patch, &checked);
            if changed.is_empty() {
                return Ok(Decision::Keep(webhook));
            }
            self.decide_update(&scope, None, &webhook, next, changed, restart)
        };
        execute(&self.owned::<Webhook>(&scope, None), find, decide).await
    }

    /// Decides to replace a webhook.
    pub(super) fn decide_update(
        &self,
        scope: &Scope,
        recorder: Recorder<'_, Webhook>,
        before: &Webhook,
        next: Webhook,
        changed: Vec<WebhookField>,
        restart: Option<FeedPosition>,
    ) -> Result<Decision<Commit<WebhookWrite>, Webhook>> {
        let expected = before.version;
        let updated_at = self.ports.environment.now();
        let next = Webhook { version: Version(expected.0 + 1), updated_at, ..next };
        let payload = EventPayload::WebhookUpdated { webhook: next.id.clone(), changed };
        let events = vec![self.event(scope, payload)];
        let idempotency = recorder.map(|recorder| recorder.record(&next)).transpose()?;
        let change = WebhookWrite::Update { webhook: next.clone(), expected, restart };
        Ok(Decision::Write(Commit { change, events, idempotency }, next))
    }

    async fn prepare(&self, webhook: Webhook, patch: &WebhookPatch) -> Result<Prepared> {
        let headers = self.prepare_headers(&webhook, patch).await?;
        let secret = self.prepare_secret(&webhook, patch).await?;
        let becomes_active = patch.active == Some(true) && !webhook.settings.active;
        let start = if becomes_active { Some(self.ports.feed.horizon().await?.safe) } else { None };
        Ok(Prepared { webhook, headers, secret, start })
    }

    async fn prepare_headers(
        &self,
        webhook: &Webhook,
        patch: &WebhookPatch,
    ) -> Result<Option<CustomHeaders>> {
        if !patch.changes_headers() {
            return Ok(None);
        }
        let sealer = &*self.ports.sealer;
        // Headers that are all replaced need not be read.
        let present = if patch.clear_headers {
            Vec::new()
        } else {
            webhook.open_headers(sealer).await.map_err(seal_error)?
        };
        let checked = self.patched_headers(patch, &present)?;
        let is_same = if patch.clear_headers {
            checked.is_empty() && webhook.settings.headers.masked.is_empty()
        } else {
            checked.iter().map(|checked| &checked.header).eq(&present)
        };
        if is_same {
            return Ok(None);
        }
        webhook.seal_headers(sealer, checked).await.map(Some).map_err(seal_error)
    }

    async fn prepare_secret(
        &self,
        webhook: &Webhook,
        patch: &WebhookPatch,
    ) -> Result<Option<Option<SealedSecret>>> {
        let Some(secret) = &patch.secret else { return Ok(None) };
        let current = &webhook.secrets.current;
        let Some(secret) = secret else { return Ok(current.as_ref().map(|_| None)) };
        let sealer = &*self.ports.sealer;
        let same = match webhook.credentials(sealer, self.ports.environment.now()).await {
            Ok(credentials) => credentials.secret.as_ref() == Some(secret),
            // A new secret replaces an unreadable one.
            Err(SealError::Broken(_)) => false,
            Err(error) => return Err(seal_error(error)),
        };
        if same {
            return Ok(None);
        }
        let next = webhook.seal_secret(sealer, secret).await.map_err(seal_error)?;
        Ok(Some(Some(next)))
    }

    /// Returns the headers of a patch over the present ones, with masked values replaced.
    pub(super) fn patched_headers(
        &self,
        patch: &WebhookPatch,
        present: &[HeaderPair],
    ) -> Result<Vec<CheckedHeader>> {
        let headers = patch.patched_headers(present);
        self.ports.sender.check_headers(&headers, present).map_err(|reason| {
            let field = FieldPath::Webhook(WebhookField::CustomHeaders);
            Error::Validation(vec![Violation::new(field, reason)])
        })
    }

    /// Returns the next state, and the parts that change.
    fn patched(
        &self,
        prepared: Prepared,
        caller: &Caller,
        patch: &WebhookPatch,
        checked: &CheckedPatch,
    ) -> (Webhook, Vec<WebhookField>) {
        let Prepared { webhook, headers, secret, start: _ } = prepared;
        let mut next = webhook.clone();
        let settings = &mut next.settings;
        checked.url.clone_into_some(&mut settings.url);
        patch.session_id().clone_into_some(&mut settings.session);
        checked.events.clone_into_some(&mut settings.events);
        patch.active.clone_into_some(&mut settings.active);
        patch.ordered.clone_into_some(&mut settings.ordered);
        headers.clone_into_some(&mut settings.headers);
        settings.retry_policy = patch.retry_policy.apply(settings.retry_policy);
        let now = self.ports.environment.now();
        if let Some(secret) = secret {
            next.secrets = next.secrets.rotated(secret, now);
        }
        if patch.active == Some(true) && next.disabled.take().is_some() {
            next.resumed_at = Some(now);
        }
        let changed = differing(&webhook, &next);
        if !changed.is_empty() {
            next.capabilities = caller.capabilities.clone();
        }
        (next, changed)
    }
}

/// Replaces a value where a patch has one.
trait CloneIntoSome<T> {
    fn clone_into_some(&self, target: &mut T);
}

impl<T: Clone> CloneIntoSome<T> for Option<T> {
    fn clone_into_some(&self, target: &mut T) {
        if let Some(value) = self {
            target.clone_from(value);
        }
    }
}

/// Returns the parts in which two states of a webhook differ.
fn differing(before: &Webhook, after: &Webhook) -> Vec<WebhookField> {
    let (old, new) = (&before.settings, &after.settings);
    let compared = [
        (WebhookField::Url, old.url == new.url),
        (WebhookField::Session, old.session == new.session),
        (WebhookField::Events, old.events == new.events),
        (WebhookField::Active, old.active == new.active),
        (WebhookField::Ordered, old.ordered == new.ordered),
        (WebhookField::CustomHeaders, old.headers == new.headers),
        (WebhookField::RetryPolicy, old.retry_policy == new.retry_policy),
        (WebhookField::Secret, before.secrets == after.secrets),
        (WebhookField::Paused, before.disabled == after.disabled),
    ];
    compared.into_iter().filter(|(_, is_equal)| !is_equal).map(|(field, _)| field).collect()
}
