//! A flush of deliveries as lists of rows. The names of the fields are the names of columns.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    DeliveryFlush, DisabledReason, LeaseChange, MAX_DEAD_LETTERS, Timestamp, Version, WebhookKey,
};
use serde::Serialize;

use crate::{
    StoreError,
    rows::{
        column::to_bigint,
        dead_letter::DeadLetterRow,
        retry_queue::{RetryQueueRow, pass_column},
        webhook_attempt::AttemptRow,
        webhook_progress::ProgressColumns,
    },
};

/// A webhook in a list.
#[derive(Serialize)]
pub(crate) struct KeyRow {
    organization: String,
    webhook: String,
}

impl KeyRow {
    pub(crate) fn new(key: &WebhookKey) -> Self {
        Self { organization: key.organization.to_string(), webhook: key.webhook.to_string() }
    }
}

/// The cursor of a webhook.
#[derive(Serialize)]
pub(crate) struct CursorRow {
    #[serde(flatten)]
    key: KeyRow,
    #[serde(flatten)]
    progress: ProgressColumns,
    epoch: i64,
    leased_until: i64,
    due: Option<i64>,
}

impl CursorRow {
    pub(crate) fn new(flush: &DeliveryFlush) -> Result<Self, StoreError> {
        let (leased_until, due) = match flush.lease {
            LeaseChange::Renew(until) => (until, Some(until)),
            LeaseChange::Release { now, due } => (now, due),
        };
        Ok(Self {
            key: KeyRow::new(&flush.key),
            progress: ProgressColumns::new(&flush.changes.progress)?,
            epoch: to_bigint("webhook_cursors.epoch", flush.epoch)?,
            leased_until: leased_until.millis(),
            due: due.map(Timestamp::millis),
        })
    }
}

/// A replay that ended.
#[derive(Serialize)]
pub(crate) struct EndedReplayRow {
    #[serde(flatten)]
    key: KeyRow,
    replay_started_at: i64,
}

/// A retry queue that ended.
#[derive(Serialize)]
pub(crate) struct RemovedRetryRow {
    #[serde(flatten)]
    key: KeyRow,
    pass: i64,
    ordering_key: String,
}

/// A replayed dead letter.
#[derive(Serialize)]
pub(crate) struct ReplayedRow {
    #[serde(flatten)]
    key: KeyRow,
    event: String,
    replayed_at: i64,
}

/// A webhook that is disabled.
pub(crate) struct Disablement {
    pub(crate) key: WebhookKey,
    pub(crate) version: i64,
    pub(crate) epoch: i64,
    pub(crate) reason: DisabledReason,
    pub(crate) event: domain::Event,
}

impl Disablement {
    pub(crate) fn of(flush: &DeliveryFlush) -> Result<Option<Self>, StoreError> {
        let (Some((reason, Version(version))), Some(event)) =
            (flush.changes.disable, &flush.disabled)
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            key: flush.key.clone(),
            version: to_bigint("webhooks.version", version)?,
            epoch: to_bigint("webhook_cursors.epoch", flush.epoch)?,
            reason,
            event: event.clone(),
        }))
    }
}

/// The rows that depend on a lease: those of webhooks whose cursor was written.
#[derive(Default)]
pub(crate) struct LeasedRows {
    pub(crate) ended_replays: Vec<EndedReplayRow>,
    pub(crate) removed: Vec<RemovedRetryRow>,
    pub(crate) retries: Vec<RetryQueueRow>,
    pub(crate) dead_letters: Vec<DeadLetterRow>,
    pub(crate) replayed: Vec<ReplayedRow>,
    pub(crate) attempts: Vec<AttemptRow>,
    pub(crate) events: Vec<domain::Event>,
    /// Webhooks whose old attempts are removed, and whether they may have too many dead letters.
    pub(crate) pruned: Vec<(WebhookKey, bool)>,
}

impl LeasedRows {
    /// Collects the rows of the webhooks in `written`.
    pub(crate) fn of(
        flushes: &[DeliveryFlush],
        written: &BTreeSet<WebhookKey>,
    ) -> Result<Self, StoreError> {
        let mut rows = Self::default();
        for flush in flushes.iter().filter(|flush| written.contains(&flush.key)) {
            rows.add(flush)?;
        }
        Ok(rows)
    }

    fn add(&mut self, flush: &DeliveryFlush) -> Result<(), StoreError> {
        let (key, changes) = (|| KeyRow::new(&flush.key), &flush.changes);
        let KeyRow { organization, webhook } = key();
        self.ended_replays.extend(changes.ended_replay.map(|started_at| EndedReplayRow {
            key: key(),
            replay_started_at: started_at.millis(),
        }));
        self.removed.extend(changes.removed.iter().map(|(pass, ordering)| RemovedRetryRow {
            key: key(),
            pass: pass_column(*pass),
            ordering_key: ordering.text().into_owned(),
        }));
        for queue in &changes.retries {
            self.retries.push(RetryQueueRow::new(&organization, &webhook, queue)?);
        }
        // An event that dies twice is one row.
        let last: BTreeMap<_, _> =
            changes.dead_letters.iter().map(|dead| (&dead.event, dead)).collect();
        for dead in last.into_values() {
            self.dead_letters.push(DeadLetterRow::new(&organization, &webhook, dead)?);
        }
        let replayed: BTreeMap<_, _> = changes.replayed.iter().map(|(id, at)| (id, at)).collect();
        self.replayed.extend(replayed.into_iter().map(|(event, at)| ReplayedRow {
            key: key(),
            event: event.to_string(),
            replayed_at: at.millis(),
        }));
        for record in &changes.attempts {
            self.attempts.push(AttemptRow::new(&organization, &webhook, record)?);
        }
        self.events.extend(flush.gap.clone());
        if flush.prune {
            let is_full = changes.progress.dead > MAX_DEAD_LETTERS.into();
            self.pruned.push((flush.key.clone(), is_full));
        }
        Ok(())
    }
}
