//! Webhooks in responses. Secrets and the values of sensitive headers never appear.

use std::collections::BTreeMap;

use domain::{DisabledReason, EventPattern, RetryPolicy, Timestamp, Webhook};
use serde::Serialize;
use utoipa::{ToSchema, openapi::schema::Schema};

use super::{example::example_is_sample, list::ListView};
use crate::wire::{schema, webhook_schema};

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub struct WebhookView {
    /// The id of the webhook.
    pub id: String,
    /// The organization that owns the webhook.
    pub organization_id: String,
    /// The id of the session whose events are sent; null for all events.
    pub session_id: Option<String>,
    /// The URL that gets the events.
    pub url: String,
    /// The kinds of events: names, prefixes such as `session.*`, or `*` for all.
    #[schema(schema_with = webhook_schema::events)]
    pub events: Vec<String>,
    /// Whether events are sent. Events of the time in between are skipped.
    pub active: bool,
    /// Whether a failing event holds back the later events of its session.
    pub ordered: bool,
    /// Whether deliveries wait until they are resumed.
    pub paused: bool,
    /// The reason for which berth stopped the deliveries: `gone` after a response 410, `failing`
    /// after five days without a success; null when it did not.
    #[schema(schema_with = disabled_reason)]
    pub disabled_reason: Option<&'static str>,
    /// The headers that each request carries. `***` stands for the value of a sensitive header.
    pub custom_headers: BTreeMap<String, String>,
    /// When and how often a failed delivery is repeated.
    pub retry_policy: RetryPolicyView,
    /// The time at which the secret was last changed; null when it never was.
    pub secret_rotated_at: Option<i64>,
    /// The person who created the webhook; null when a key or an operator did.
    pub created_by_user_id: Option<String>,
    /// The time of creation.
    pub created_at: i64,
    /// The time of the last change.
    pub updated_at: i64,
    /// The number of the last change.
    pub version: u64,
}

/// When and how often a failed delivery is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RetryPolicy)]
pub struct RetryPolicyView {
    /// How the delay grows: `exponential` doubles it, `linear` adds the first delay, `constant`
    /// keeps it.
    #[schema(schema_with = webhook_schema::backoff)]
    pub policy: &'static str,
    /// The delay after the first failure, in seconds.
    pub delay_seconds: u32,
    /// The number of attempts after which an event is a dead letter.
    pub attempts: u32,
}

example_is_sample!(WebhookView, ListView<WebhookView>);

fn disabled_reason() -> Schema {
    let known = [DisabledReason::Gone, DisabledReason::Failing].map(DisabledReason::as_str);
    schema::enumeration_or_null("The reason for which berth stopped the deliveries.", &known)
}

impl From<RetryPolicy> for RetryPolicyView {
    fn from(policy: RetryPolicy) -> Self {
        let RetryPolicy { backoff, delay_seconds, attempts } = policy;
        Self { policy: backoff.as_str(), delay_seconds, attempts }
    }
}

impl WebhookView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            id: "wh_01JGXS1DN00000000000000004".to_owned(),
            organization_id: "acme".to_owned(),
            session_id: None,
            url: "https://shop.example/hooks/whatsapp".to_owned(),
            events: vec!["session.*".to_owned(), "auth.paired".to_owned()],
            active: true,
            ordered: true,
            paused: false,
            disabled_reason: None,
            custom_headers: [("X-Api-Token".to_owned(), "***".to_owned())].into(),
            retry_policy: RetryPolicy::default().into(),
            secret_rotated_at: Some(1_767_254_300_000),
            created_by_user_id: Some("user_1".to_owned()),
            created_at: 1_767_254_200_000,
            updated_at: 1_767_254_300_000,
            version: 2,
        }
    }

    pub(crate) fn of(webhook: &Webhook) -> Self {
        let settings = &webhook.settings;
        let mut events: Vec<_> = settings.events.iter().map(EventPattern::text).collect();
        if events.is_empty() {
            events.push(EventPattern::All.text());
        }
        let headers = settings.headers.masked.iter();
        Self {
            id: webhook.id.to_string(),
            organization_id: webhook.organization.to_string(),
            session_id: settings.session.as_ref().map(ToString::to_string),
            url: settings.url.text.clone(),
            events,
            active: settings.active,
            ordered: settings.ordered,
            paused: webhook.paused,
            disabled_reason: webhook.disabled.map(DisabledReason::as_str),
            custom_headers: headers.map(|pair| (pair.name.clone(), pair.value.clone())).collect(),
            retry_policy: settings.retry_policy.into(),
            secret_rotated_at: webhook.secrets.rotated_at.map(Timestamp::millis),
            created_by_user_id: webhook.created_by.user().map(|user| user.as_str().to_owned()),
            created_at: webhook.created_at.millis(),
            updated_at: webhook.updated_at.millis(),
            version: webhook.version.0,
        }
    }
}

impl ListView<WebhookView> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { data: vec![WebhookView::sample()], next_cursor: None }
    }
}
