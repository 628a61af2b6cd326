//! A webhook in memory, with everything that belongs to it.

use std::collections::BTreeMap;

use crate::{
    feed::position::FeedPosition,
    id::{AttemptId, EventId},
    ports::store::written::Written,
    webhook::{
        attempt::AttemptRecord,
        dead_letter::DeadLetter,
        delivery::{
            lease::DeliveryLease,
            retry_queue::{OrderingKey, Pass, RetryQueue},
        },
        model::Webhook,
        progress::DeliveryProgress,
        write::WebhookWrite,
    },
};

/// A webhook with everything that belongs to it.
#[derive(Clone, Debug)]
pub(in crate::testing) struct WebhookRows {
    pub(in crate::testing) webhook: Webhook,
    pub(in crate::testing) progress: DeliveryProgress,
    pub(in crate::testing) lease: DeliveryLease,
    pub(in crate::testing) retries: BTreeMap<(Pass, OrderingKey), RetryQueue>,
    pub(in crate::testing) dead_letters: BTreeMap<EventId, DeadLetter>,
    pub(in crate::testing) attempts: BTreeMap<AttemptId, AttemptRecord>,
}

impl WebhookRows {
    pub(in crate::testing) fn new(webhook: Webhook, start: FeedPosition) -> Self {
        let due = Some(webhook.created_at);
        Self {
            webhook,
            progress: DeliveryProgress { position: start, ..DeliveryProgress::default() },
            lease: DeliveryLease { due, ..DeliveryLease::default() },
            retries: BTreeMap::new(),
            dead_letters: BTreeMap::new(),
            attempts: BTreeMap::new(),
        }
    }

    /// Applies a change to rows that exist.
    pub(in crate::testing) fn apply(&mut self, change: &WebhookWrite) -> Written {
        match change {
            WebhookWrite::Insert { .. } => return Written::Raced,
            WebhookWrite::Update { webhook, expected, restart } => {
                if self.webhook.version != *expected {
                    return Written::Raced;
                }
                self.replace(webhook);
                if let Some(start) = restart {
                    self.restart(*start);
                }
                self.lease.due = Some(webhook.updated_at);
            }
            WebhookWrite::Delete { expected, .. } => {
                if expected.is_some_and(|expected| expected != self.webhook.version) {
                    return Written::Raced;
                }
            }
            WebhookWrite::StartReplay { replay, .. } => {
                if self.progress.replay.is_some() {
                    return Written::Raced;
                }
                self.progress.replay = Some(replay.clone());
                self.lease.due = Some(replay.started_at);
            }
            WebhookWrite::ReplayDeadLetter { event, at, .. } => {
                let Some(dead) = self.dead_letters.get(event) else { return Written::Raced };
                let queue = dead.retry_queue(*at);
                let key = (queue.pass, queue.key.clone());
                self.retries.entry(key).or_insert(queue);
                self.lease.due = Some(*at);
            }
            WebhookWrite::Skip { event, at, .. } => {
                let mut queues = self.retries.values_mut();
                let Some(queue) = queues.find(|queue| queue.event == *event) else {
                    return Written::Raced;
                };
                queue.skip = true;
                self.lease.due = Some(*at);
            }
        }
        Written::Done
    }

    pub(in crate::testing) fn replace(&mut self, next: &Webhook) {
        let known = &self.webhook;
        let (id, organization) = (known.id.clone(), known.organization.clone());
        let (created_by, created_at) = (known.created_by.clone(), known.created_at);
        self.webhook = Webhook { id, organization, created_by, created_at, ..next.clone() };
    }

    /// Skips the events up to `start`. A new epoch fences a router that still delivers.
    fn restart(&mut self, start: FeedPosition) {
        self.retries.clear();
        self.progress.replay = None;
        self.progress.position = self.progress.position.max(start);
        self.lease.epoch += 1;
    }
}
