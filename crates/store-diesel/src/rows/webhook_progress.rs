//! The table `webhook_cursors`: the progress and the lease of a webhook.

use diesel::prelude::*;
use domain::{Breaker, DeliveryProgress, FeedPosition, Replay, Timestamp, Webhook};
use serde::Serialize;

use crate::{
    StoreError,
    rows::column::{from_bigint, timestamp, to_bigint},
    schema::webhook_cursors,
};

/// The columns of the progress.
#[derive(Clone, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = webhook_cursors, treat_none_as_default_value = false)]
pub(crate) struct ProgressColumns {
    position: i64,
    #[diesel(embed)]
    #[serde(flatten)]
    replay: ReplayColumns,
    breaker_until: Option<i64>,
    breaker_step: i64,
    breaker_unreached: i64,
    failing_since: Option<i64>,
    failures: i64,
    succeeded_at: Option<i64>,
    last_error: Option<String>,
    resumed_at: Option<i64>,
    delivered: i64,
    failed: i64,
    dead: i64,
    gaps: i64,
}

/// The columns of a replay; all `NULL` without a replay.
#[derive(Clone, Default, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = webhook_cursors, treat_none_as_default_value = false, treat_none_as_null = true)]
#[expect(clippy::struct_field_names, reason = "fields have the names of the columns")]
pub(crate) struct ReplayColumns {
    replay_started_at: Option<i64>,
    replay_position: Option<i64>,
    replay_until: Option<i64>,
    replay_from: Option<i64>,
    replay_before: Option<i64>,
    replay_dead_only: Option<bool>,
}

/// A new row.
#[derive(Insertable)]
#[diesel(table_name = webhook_cursors, treat_none_as_default_value = false)]
pub(crate) struct NewCursorRow {
    organization: String,
    webhook: String,
    #[diesel(embed)]
    progress: ProgressColumns,
    holder: Option<String>,
    epoch: i64,
    leased_until: i64,
    due: Option<i64>,
}

impl NewCursorRow {
    /// Returns the row of a new webhook, whose deliveries begin after `start`.
    pub(crate) fn new(webhook: &Webhook, start: FeedPosition) -> Result<Self, StoreError> {
        let progress = DeliveryProgress { position: start, ..DeliveryProgress::default() };
        Ok(Self {
            organization: webhook.organization.to_string(),
            webhook: webhook.id.to_string(),
            progress: ProgressColumns::new(&progress)?,
            holder: None,
            epoch: 0,
            leased_until: 0,
            due: Some(webhook.created_at.millis()),
        })
    }
}

impl ReplayColumns {
    pub(crate) fn new(replay: &Replay) -> Result<Self, StoreError> {
        Ok(Self {
            replay_started_at: Some(replay.started_at.millis()),
            replay_position: Some(column(replay.position)?),
            replay_until: Some(column(replay.until)?),
            replay_from: replay.from.map(Timestamp::millis),
            replay_before: replay.before.map(Timestamp::millis),
            replay_dead_only: Some(replay.dead_only),
        })
    }

    /// Returns the replay; `None` for unreadable columns.
    #[expect(
        clippy::option_option,
        reason = "the outer option says whether the columns are readable"
    )]
    fn replay(&self) -> Option<Option<Replay>> {
        let Some(started_at) = timestamp(self.replay_started_at) else { return Some(None) };
        Some(Some(Replay {
            started_at,
            position: position(self.replay_position?)?,
            until: position(self.replay_until?)?,
            from: timestamp(self.replay_from),
            before: timestamp(self.replay_before),
            dead_only: self.replay_dead_only?,
        }))
    }
}

impl ProgressColumns {
    pub(crate) fn new(progress: &DeliveryProgress) -> Result<Self, StoreError> {
        let count = |count| to_bigint("webhook_cursors.delivered", count);
        Ok(Self {
            position: column(progress.position)?,
            replay: match &progress.replay {
                Some(replay) => ReplayColumns::new(replay)?,
                None => ReplayColumns::default(),
            },
            breaker_until: progress.breaker.open_until.map(Timestamp::millis),
            breaker_step: progress.breaker.step.into(),
            breaker_unreached: progress.breaker.unreached.into(),
            failing_since: progress.failing_since.map(Timestamp::millis),
            failures: progress.failures.into(),
            succeeded_at: progress.succeeded_at.map(Timestamp::millis),
            last_error: progress.last_error.clone(),
            resumed_at: progress.resumed_at.map(Timestamp::millis),
            delivered: count(progress.delivered)?,
            failed: count(progress.failed)?,
            dead: count(progress.dead)?,
            gaps: count(progress.gaps)?,
        })
    }

    /// Returns the progress of the webhook with this id.
    pub(crate) fn progress(&self, webhook: &str) -> Result<DeliveryProgress, StoreError> {
        self.parse().map_err(|column| StoreError::corrupt(column, webhook))
    }

    fn parse(&self) -> Result<DeliveryProgress, &'static str> {
        let count = |count: i64| from_bigint(count).ok_or("webhook_cursors.delivered");
        Ok(DeliveryProgress {
            position: position(self.position).ok_or("webhook_cursors.position")?,
            replay: self.replay.replay().ok_or("webhook_cursors.replay_position")?,
            breaker: Breaker {
                open_until: timestamp(self.breaker_until),
                step: from_bigint(self.breaker_step).ok_or("webhook_cursors.breaker_step")?,
                unreached: from_bigint(self.breaker_unreached)
                    .ok_or("webhook_cursors.breaker_unreached")?,
            },
            failing_since: timestamp(self.failing_since),
            failures: from_bigint(self.failures).ok_or("webhook_cursors.failures")?,
            succeeded_at: timestamp(self.succeeded_at),
            last_error: self.last_error.clone(),
            resumed_at: timestamp(self.resumed_at),
            delivered: count(self.delivered)?,
            failed: count(self.failed)?,
            dead: count(self.dead)?,
            gaps: count(self.gaps)?,
        })
    }
}

/// Converts a position to a column.
pub(crate) fn column(position: FeedPosition) -> Result<i64, StoreError> {
    to_bigint("webhook_cursors.position", position.number())
}

fn position(number: i64) -> Option<FeedPosition> {
    from_bigint(number).map(FeedPosition::from_number)
}
