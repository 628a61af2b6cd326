//! Store of deliveries in memory.

use std::{collections::BTreeSet, future::poll_fn, task::Poll};

use async_trait::async_trait;

use crate::{
    event::Event,
    feed::position::{FeedEvent, FeedPage, FeedPosition},
    id::{OrganizationId, WebhookId},
    ports::{error::PortResult, store::deliveries::DeliveryStore},
    session::version::Version,
    testing::memory::{
        state::{Memory, MemoryState},
        webhook_rows::WebhookRows,
    },
    time::Timestamp,
    webhook::{
        delivery::{
            lease::{
                Claimed, DeliveryFlush, DeliveryLease, LeaseChange, LeaseClaim, LeasedWebhook,
                WebhookKey,
            },
            lookup::LookupRange,
        },
        disabled_reason::DisabledReason,
        model::Webhook,
    },
};

/// Number of attempts that stay when old ones are removed.
const KEPT_ATTEMPTS: usize = 500;

impl MemoryState {
    fn rows_of(&mut self, key: &WebhookKey) -> Option<&mut WebhookRows> {
        let rows = self.webhooks.get_mut(&key.webhook);
        rows.filter(|rows| rows.webhook.organization == key.organization)
    }

    fn live_webhooks(&self) -> impl Iterator<Item = &Webhook> {
        self.webhooks.values().map(|rows| &rows.webhook).filter(|webhook| webhook.is_live())
    }
}

impl WebhookRows {
    fn leased(&self) -> LeasedWebhook {
        LeasedWebhook {
            webhook: self.webhook.clone(),
            epoch: self.lease.epoch,
            progress: self.progress.clone(),
            retries: self.retries.values().cloned().collect(),
        }
    }

    fn is_free(&self, now: Timestamp) -> bool {
        self.lease.until <= now
    }

    /// Sets the due time, unless the owner set another during the lease.
    fn set_due(lease: &mut DeliveryLease, due: Option<Timestamp>) {
        if lease.due == Some(lease.until) {
            lease.due = due;
        }
    }

    /// Writes the changes; returns the events that are to be stored.
    fn flush(&mut self, flush: &DeliveryFlush) -> Vec<Event> {
        let changes = &flush.changes;
        match flush.lease {
            LeaseChange::Renew(until) => {
                Self::set_due(&mut self.lease, Some(until));
                self.lease.until = until;
            }
            LeaseChange::Release { now, due } => {
                Self::set_due(&mut self.lease, due);
                self.lease.until = now;
            }
        }
        let stored = self.progress.clone();
        self.progress = changes.progress.clone();
        self.progress.position = stored.position.max(changes.progress.position);
        self.progress.replay =
            stored.replay.filter(|it| changes.ended_replay != Some(it.started_at));
        if let (Some(stored), Some(moved)) = (&mut self.progress.replay, &changes.progress.replay)
            && stored.started_at == moved.started_at
        {
            stored.position = moved.position;
        }
        for (pass, key) in &changes.removed {
            self.retries.remove(&(*pass, key.clone()));
        }
        for queue in &changes.retries {
            let mut queue = queue.clone();
            let id = (queue.pass, queue.key.clone());
            let stored = self.retries.get(&id).filter(|it| it.position == queue.position);
            queue.skip = stored.map_or(queue.skip, |stored| stored.skip);
            self.retries.insert(id, queue);
        }
        for dead in &changes.dead_letters {
            self.dead_letters.insert(dead.event.clone(), dead.clone());
        }
        for (event, at) in &changes.replayed {
            if let Some(dead) = self.dead_letters.get_mut(event) {
                dead.replayed_at = Some(*at);
            }
        }
        for record in &changes.attempts {
            self.attempts.entry(record.id.clone()).or_insert_with(|| record.clone());
        }
        while flush.prune && self.attempts.len() > KEPT_ATTEMPTS {
            self.attempts.pop_first();
        }
        let mut events: Vec<_> = flush.gap.iter().cloned().collect();
        if let (Some((reason, version)), Some(event)) = (changes.disable, &flush.disabled)
            && self.disable(reason, version, event.at)
        {
            events.push(event.clone());
        }
        events
    }

    fn disable(&mut self, reason: DisabledReason, version: Version, now: Timestamp) -> bool {
        let webhook = &mut self.webhook;
        let is_expected = webhook.version == version && webhook.disabled.is_none();
        if is_expected {
            webhook.disabled = Some(reason);
            webhook.updated_at = now;
            webhook.version = Version(version.0 + 1);
        }
        is_expected
    }
}

fn limited<T>(found: impl Iterator<Item = T>, limit: u32) -> Vec<T> {
    found.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
}

#[async_trait]
impl DeliveryStore for Memory {
    async fn live_webhooks(
        &self,
        after: Option<&WebhookId>,
        limit: u32,
    ) -> PortResult<(Vec<Webhook>, Option<WebhookId>)> {
        let state = self.state()?;
        let follows =
            state.live_webhooks().filter(|webhook| after.is_none_or(|id| webhook.id > *id));
        let found = limited(follows.cloned(), limit);
        let full = u32::try_from(found.len()).is_ok_and(|count| count == limit);
        let next = found.last().filter(|_| full).map(|last| last.id.clone());
        Ok((found, next))
    }

    async fn live_webhooks_of(&self, organization: &OrganizationId) -> PortResult<Vec<Webhook>> {
        let state = self.state()?;
        let own = state.live_webhooks().filter(|webhook| webhook.organization == *organization);
        Ok(own.cloned().collect())
    }

    async fn behind(
        &self,
        after: Option<&WebhookKey>,
        now: Timestamp,
        limit: u32,
    ) -> PortResult<(Vec<WebhookKey>, Option<WebhookKey>)> {
        let mut state = self.state()?;
        let all: BTreeSet<_> = state.webhooks.values().map(|rows| rows.webhook.key()).collect();
        let follows = all.into_iter().filter(|key| after.is_none_or(|after| key > after));
        let mut page = limited(follows, limit);
        let full = u32::try_from(page.len()).is_ok_and(|count| count == limit);
        let next = page.last().filter(|_| full).cloned();
        let events = state.events.clone();
        page.retain(|key| {
            let is_new = |found: &FeedEvent, position| {
                found.event.organization == key.organization && found.position > position
            };
            state.rows_of(key).is_some_and(|rows| {
                rows.webhook.is_live()
                    && rows.is_free(now)
                    && events.iter().any(|found| is_new(found, rows.progress.position))
            })
        });
        Ok((page, next))
    }

    async fn due_webhooks(&self, now: Timestamp, limit: u32) -> PortResult<Vec<WebhookKey>> {
        let state = self.state()?;
        let mut due: Vec<_> = state
            .webhooks
            .values()
            .filter(|rows| rows.is_free(now) && rows.lease.due.is_some_and(|due| due <= now))
            .map(|rows| (rows.lease.due, rows.webhook.key()))
            .collect();
        due.sort();
        Ok(limited(due.into_iter().map(|(_, key)| key), limit))
    }

    async fn claim(&self, claim: &LeaseClaim, keys: &[WebhookKey]) -> PortResult<Vec<Claimed>> {
        let claimed = self.claimed(claim, keys)?;
        // As from a database, the answer comes later than the write.
        pending_once().await;
        Ok(claimed)
    }

    async fn leased_webhook(&self, key: &WebhookKey) -> PortResult<Option<LeasedWebhook>> {
        Ok(self.state()?.rows_of(key).map(|rows| rows.leased()))
    }

    async fn flush(&self, flushes: &[DeliveryFlush]) -> PortResult<BTreeSet<WebhookKey>> {
        let mut state = self.state()?;
        let mut written = BTreeSet::new();
        for flush in flushes {
            let rows = state.rows_of(&flush.key);
            let Some(rows) = rows.filter(|rows| rows.lease.epoch == flush.epoch) else { continue };
            let events = rows.flush(flush);
            state.append(&events);
            written.insert(flush.key.clone());
        }
        Ok(written)
    }

    async fn events_in(
        &self,
        organization: &OrganizationId,
        range: &LookupRange,
        limit: u32,
    ) -> PortResult<Vec<FeedEvent>> {
        let state = self.state()?;
        let is_in = |found: &&FeedEvent| {
            let event = &found.event;
            event.organization == *organization
                && match range {
                    LookupRange::Event(position) => found.position == *position,
                    LookupRange::Session { session, stream, after } => {
                        event.session.as_ref() == Some(session)
                            && event.stream() == *stream
                            && event.sequence > *after
                    }
                    LookupRange::Organization { after, until } => {
                        event.session.is_none()
                            && found.position > *after
                            && found.position <= *until
                    }
                }
        };
        let shown = |found: &FeedEvent| FeedEvent {
            position: found.position,
            event: state.with_content(found.event.clone()),
        };
        Ok(limited(state.events.iter().filter(is_in).map(shown), limit))
    }

    async fn dead_events(
        &self,
        key: &WebhookKey,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<FeedPage> {
        let mut state = self.state()?;
        let dead: BTreeSet<_> = state
            .rows_of(key)
            .into_iter()
            .flat_map(|rows| rows.dead_letters.values())
            .filter(|dead| dead.replayed_at.is_none())
            .filter(|dead| dead.position > after && dead.position <= until)
            .map(|dead| dead.position)
            .collect();
        let page = limited(dead.into_iter(), limit);
        let full = u32::try_from(page.len()).is_ok_and(|count| count == limit);
        let end = page.last().copied().filter(|_| full).unwrap_or(until);
        let is_dead = |found: &&FeedEvent| {
            found.event.organization == key.organization && page.contains(&found.position)
        };
        let events = state.events.iter().filter(is_dead).cloned().collect();
        Ok(FeedPage { events, until: end })
    }
}

impl Memory {
    fn claimed(&self, claim: &LeaseClaim, keys: &[WebhookKey]) -> PortResult<Vec<Claimed>> {
        let mut state = self.state()?;
        let mut claimed = Vec::new();
        for key in keys {
            let Some(rows) = state.rows_of(key) else { continue };
            let is_mine = rows.lease.holder.as_ref() == Some(&claim.holder);
            if !is_mine && !rows.is_free(claim.now) {
                claimed.push(Claimed::Busy(key.clone(), rows.lease.until));
                continue;
            }
            rows.lease = DeliveryLease {
                holder: Some(claim.holder.clone()),
                epoch: rows.lease.epoch + 1,
                until: claim.until,
                due: Some(claim.until),
            };
            claimed.push(Claimed::Held(Box::new(rows.leased())));
        }
        Ok(claimed)
    }

    /// Returns the lease of a webhook.
    pub fn delivery_lease(&self, webhook: &WebhookId) -> Option<DeliveryLease> {
        self.state().ok()?.webhooks.get(webhook).map(|rows| rows.lease.clone())
    }
}

/// Lets other tasks run once.
async fn pending_once() {
    let mut is_first = true;
    poll_fn(|context| {
        if std::mem::take(&mut is_first) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}
