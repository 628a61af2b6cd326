//! The table `webhooks`: immutable columns, and the columns that an update replaces.

use diesel::prelude::*;
use domain::{
    Backoff, Capabilities, Capability, CustomHeaders, DisabledReason, EventPattern, HeaderPair,
    OrganizationId, PreviousSecret, RetryPolicy, SessionId, Timestamp, Version, Webhook, WebhookId,
    WebhookSecrets, WebhookSettings, WebhookUrlText, ports::SealedSecret,
};

use crate::{
    StoreError,
    rows::column::{
        actor, actor_columns, from_bigint, from_json, parse_optional, timestamp, to_bigint, to_json,
    },
    schema::webhooks,
};

/// A row of `webhooks`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = webhooks)]
pub(crate) struct WebhookRow {
    #[diesel(embed)]
    pub(crate) immutable: ImmutableWebhookColumns,
    #[diesel(embed)]
    mutable: MutableWebhookColumns,
}

/// The columns that never change.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = webhooks, treat_none_as_default_value = false)]
pub(crate) struct ImmutableWebhookColumns {
    pub(crate) id: String,
    organization: String,
    created_by_kind: String,
    created_by_name: Option<String>,
    pub(crate) created_at: i64,
}

/// The columns that an update replaces.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = webhooks, treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct MutableWebhookColumns {
    session: Option<String>,
    url: String,
    url_origin: String,
    events: String,
    active: bool,
    ordered: bool,
    headers: String,
    sealed_headers: Option<Vec<u8>>,
    secret: Option<Vec<u8>>,
    previous_secret: Option<Vec<u8>>,
    previous_secret_until: Option<i64>,
    secret_rotated_at: Option<i64>,
    backoff: String,
    delay_seconds: i64,
    attempts: i64,
    paused: bool,
    disabled_reason: Option<String>,
    resumed_at: Option<i64>,
    capabilities: String,
    updated_at: i64,
    version: i64,
}

impl WebhookRow {
    pub(crate) fn new(webhook: &Webhook) -> Result<Self, StoreError> {
        let (kind, name) = actor_columns(&webhook.created_by);
        Ok(Self {
            immutable: ImmutableWebhookColumns {
                id: webhook.id.to_string(),
                organization: webhook.organization.to_string(),
                created_by_kind: kind.to_owned(),
                created_by_name: name,
                created_at: webhook.created_at.millis(),
            },
            mutable: MutableWebhookColumns::new(webhook)?,
        })
    }

    fn webhook(&self) -> Result<Webhook, &'static str> {
        let (immutable, mutable) = (&self.immutable, &self.mutable);
        Ok(Webhook {
            id: WebhookId::parse(&immutable.id).ok_or("webhooks.id")?,
            organization: OrganizationId::parse(&immutable.organization)
                .ok_or("webhooks.organization")?,
            settings: mutable.settings()?,
            secrets: mutable.secrets()?,
            paused: mutable.paused,
            disabled: parse_optional(mutable.disabled_reason.as_deref(), DisabledReason::parse)
                .ok_or("webhooks.disabled_reason")?,
            resumed_at: timestamp(mutable.resumed_at),
            capabilities: capabilities(&mutable.capabilities).ok_or("webhooks.capabilities")?,
            created_by: actor(&immutable.created_by_kind, immutable.created_by_name.as_deref())
                .ok_or("webhooks.created_by_kind")?,
            created_at: Timestamp::from_millis(immutable.created_at),
            updated_at: Timestamp::from_millis(mutable.updated_at),
            version: Version(from_bigint(mutable.version).ok_or("webhooks.version")?),
        })
    }
}

impl MutableWebhookColumns {
    pub(crate) fn new(webhook: &Webhook) -> Result<Self, StoreError> {
        let Webhook { settings, secrets, .. } = webhook;
        let events: Vec<_> = settings.events.iter().map(EventPattern::text).collect();
        let headers: Vec<_> =
            settings.headers.masked.iter().map(|pair| (&pair.name, &pair.value)).collect();
        let capabilities: Vec<_> = webhook.capabilities.iter().map(Capability::as_str).collect();
        let bytes = |sealed: &SealedSecret| sealed.0.clone();
        Ok(Self {
            session: settings.session.as_ref().map(ToString::to_string),
            url: settings.url.text.clone(),
            url_origin: settings.url.origin.clone(),
            events: to_json("webhooks.events", &events)?,
            active: settings.active,
            ordered: settings.ordered,
            headers: to_json("webhooks.headers", &headers)?,
            sealed_headers: settings.headers.sealed.as_ref().map(bytes),
            secret: secrets.current.as_ref().map(bytes),
            previous_secret: secrets.previous.as_ref().map(|previous| bytes(&previous.secret)),
            previous_secret_until: secrets.previous.as_ref().map(|it| it.until.millis()),
            secret_rotated_at: secrets.rotated_at.map(Timestamp::millis),
            backoff: settings.retry_policy.backoff.as_str().to_owned(),
            delay_seconds: settings.retry_policy.delay_seconds.into(),
            attempts: settings.retry_policy.attempts.into(),
            paused: webhook.paused,
            disabled_reason: webhook.disabled.map(|reason| reason.as_str().to_owned()),
            resumed_at: webhook.resumed_at.map(Timestamp::millis),
            capabilities: to_json("webhooks.capabilities", &capabilities)?,
            updated_at: webhook.updated_at.millis(),
            version: to_bigint("webhooks.version", webhook.version.0)?,
        })
    }

    fn settings(&self) -> Result<WebhookSettings, &'static str> {
        Ok(WebhookSettings {
            url: WebhookUrlText { text: self.url.clone(), origin: self.url_origin.clone() },
            session: parse_optional(self.session.as_deref(), SessionId::parse)
                .ok_or("webhooks.session")?,
            events: patterns(&self.events).ok_or("webhooks.events")?,
            active: self.active,
            ordered: self.ordered,
            headers: CustomHeaders {
                masked: pairs(&self.headers).ok_or("webhooks.headers")?,
                sealed: self.sealed_headers.clone().map(SealedSecret),
            },
            retry_policy: RetryPolicy {
                backoff: Backoff::parse(&self.backoff).ok_or("webhooks.backoff")?,
                delay_seconds: from_bigint(self.delay_seconds).ok_or("webhooks.delay_seconds")?,
                attempts: from_bigint(self.attempts).ok_or("webhooks.attempts")?,
            },
        })
    }

    fn secrets(&self) -> Result<WebhookSecrets, &'static str> {
        let previous = match (&self.previous_secret, timestamp(self.previous_secret_until)) {
            (None, None) => None,
            (Some(secret), Some(until)) => {
                Some(PreviousSecret { secret: SealedSecret(secret.clone()), until })
            }
            _ => return Err("webhooks.previous_secret"),
        };
        Ok(WebhookSecrets {
            current: self.secret.clone().map(SealedSecret),
            previous,
            rotated_at: timestamp(self.secret_rotated_at),
        })
    }
}

fn patterns(text: &str) -> Option<Vec<EventPattern>> {
    let texts: Vec<String> = from_json(text)?;
    texts.iter().map(|text| EventPattern::parse(text)).collect()
}

fn pairs(text: &str) -> Option<Vec<HeaderPair>> {
    let pairs: Vec<(String, String)> = from_json(text)?;
    Some(pairs.into_iter().map(|(name, value)| HeaderPair { name, value }).collect())
}

fn capabilities(text: &str) -> Option<Capabilities> {
    let names: Vec<String> = from_json(text)?;
    names.iter().map(|name| Capability::parse(name)).collect()
}

impl TryFrom<WebhookRow> for Webhook {
    type Error = StoreError;

    fn try_from(row: WebhookRow) -> Result<Self, StoreError> {
        row.webhook().map_err(|column| StoreError::corrupt(column, &row.immutable.id))
    }
}
