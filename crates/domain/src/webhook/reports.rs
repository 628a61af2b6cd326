//! What an owner can read of the deliveries: state, attempts and dead letters.

use crate::{
    access::or_not_found,
    caller::{Caller, Capability},
    error::Result,
    feed::filter::FeedRights,
    id::{AttemptId, EventId},
    ports::store::webhooks::WebhookPage,
    time::Timestamp,
    webhook::{
        attempt::AttemptRecord,
        dead_letter::DeadLetter,
        model::Webhook,
        progress::{ProgressReport, SEALED},
        service::Webhooks,
    },
};

/// Maximum number of events that [`WebhookState::lag`] counts.
pub const MAX_LAG: u32 = 1_000;

/// The condition of a webhook's deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WebhookCondition {
    /// The owner set the webhook inactive.
    Inactive,
    /// berth stopped the deliveries.
    Disabled,
    /// The owner paused the deliveries.
    Paused,
    /// A secret cannot be opened.
    Sealed,
    /// The receiver does not work, and single attempts test it.
    Failing,
    /// Events of some sessions failed and will be retried.
    Retrying,
    /// Events are being delivered.
    Delivering,
    /// Every event is delivered.
    Idle,
}

impl WebhookCondition {
    /// Every condition.
    pub const ALL: [Self; 8] = [
        Self::Inactive,
        Self::Disabled,
        Self::Paused,
        Self::Sealed,
        Self::Failing,
        Self::Retrying,
        Self::Delivering,
        Self::Idle,
    ];

    /// Returns the stable name, as sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Disabled => "disabled",
            Self::Paused => "paused",
            Self::Sealed => "sealed",
            Self::Failing => "failing",
            Self::Retrying => "retrying",
            Self::Delivering => "delivering",
            Self::Idle => "idle",
        }
    }
}

/// The state of a webhook's deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookState {
    /// The webhook.
    pub webhook: Webhook,
    /// The condition of the deliveries.
    pub condition: WebhookCondition,
    /// The stored progress.
    pub report: ProgressReport,
    /// Number of events that wait for their first attempt, at most 1,000.
    pub lag: u32,
    /// Creation time of the oldest event that is neither delivered nor a dead letter.
    pub oldest_undelivered: Option<Timestamp>,
}

impl Webhooks {
    /// Returns the state of the deliveries.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden), [`Error::NotFound`](crate::Error::NotFound),
    /// and errors of the stores.
    pub async fn state(&self, caller: &Caller, id: &str) -> Result<WebhookState> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let webhook = self.find(&scope, id).await?;
        let report = self.ports.store.progress(&scope, &webhook.id).await?;
        let report = or_not_found("webhook", report)?;
        let waiting = self.waiting(caller, &webhook, &report).await?;
        let failing = report.oldest_failing.as_ref().map(EventId::created_at);
        let oldest_undelivered = waiting.first().copied().into_iter().chain(failing).min();
        let lag = u32::try_from(waiting.len()).unwrap_or(MAX_LAG);
        let condition = condition(&webhook, &report, lag);
        Ok(WebhookState { webhook, condition, report, lag, oldest_undelivered })
    }

    /// Returns the times of the first events behind the position that the webhook gets.
    async fn waiting(
        &self,
        caller: &Caller,
        webhook: &Webhook,
        report: &ProgressReport,
    ) -> Result<Vec<Timestamp>> {
        let until = self.ports.feed.horizon().await?.safe;
        let (feed, rights) = (&self.ports.organization_feed, FeedRights::of(caller)?);
        let after = report.progress.position;
        let mut page = feed.feed_page(&rights, after, until, MAX_LAG).await?;
        if page.is_none() {
            // Retention removed the first events behind the position.
            let floor = feed.floor(&rights).await?.position;
            page = feed.feed_page(&rights, floor, until, MAX_LAG).await?;
        }
        let selection = webhook.event_selection();
        let events = page.into_iter().flat_map(|page| page.events).map(|found| found.event);
        let waiting =
            events.filter(|event| selection.includes(event.name(), event.session.as_ref()));
        Ok(waiting.map(|event| event.at).collect())
    }

    /// Returns a page of the newest attempts. About 500 are kept.
    ///
    /// # Errors
    /// As [`state`](Self::state).
    pub async fn attempts(
        &self,
        caller: &Caller,
        id: &str,
        page: &WebhookPage<AttemptId>,
    ) -> Result<Vec<AttemptRecord>> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let webhook = self.find(&scope, id).await?;
        Ok(self.ports.store.attempts(&scope, &webhook.id, page).await?)
    }

    /// Returns a page of the dead letters, newest first.
    ///
    /// # Errors
    /// As [`state`](Self::state).
    pub async fn dead_letters(
        &self,
        caller: &Caller,
        id: &str,
        page: &WebhookPage<EventId>,
    ) -> Result<Vec<DeadLetter>> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let webhook = self.find(&scope, id).await?;
        Ok(self.ports.store.dead_letters(&scope, &webhook.id, page).await?)
    }
}

fn condition(webhook: &Webhook, report: &ProgressReport, lag: u32) -> WebhookCondition {
    let progress = &report.progress;
    // The owner asked for attempts that no router has made yet.
    let is_resumed = webhook.resumed_at > progress.resumed_at;
    let is_open = progress.breaker.open_until.is_some() && !is_resumed;
    let conditions = [
        (webhook.disabled.is_some(), WebhookCondition::Disabled),
        (!webhook.settings.active, WebhookCondition::Inactive),
        (webhook.paused, WebhookCondition::Paused),
        (progress.last_error.as_deref() == Some(SEALED), WebhookCondition::Sealed),
        (is_open, WebhookCondition::Failing),
        (report.retries.queues > 0, WebhookCondition::Retrying),
        (lag > 0 || progress.replay.is_some(), WebhookCondition::Delivering),
    ];
    conditions.into_iter().find(|(so, _)| *so).map_or(WebhookCondition::Idle, |(_, it)| it)
}
