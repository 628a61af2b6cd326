//! Store of webhooks in memory, for their owners.

use async_trait::async_trait;

use crate::{
    access::Scope,
    commit::Commit,
    feed::position::FeedPosition,
    id::{AttemptId, EventId, WebhookId},
    ports::{
        error::PortResult,
        store::{
            webhooks::{WebhookPage, WebhookStore},
            written::{CommitOutcome, Written},
        },
    },
    resource_quota::Resource,
    testing::memory::{
        state::{Memory, MemoryState, require_own_organization},
        webhook_rows::WebhookRows,
    },
    time::Timestamp,
    webhook::{
        attempt::AttemptRecord,
        dead_letter::DeadLetter,
        delivery::retry_queue::RetryQueue,
        model::Webhook,
        progress::{ProgressReport, RetrySummary},
        write::WebhookWrite,
    },
};

#[async_trait]
impl WebhookStore for Memory {
    async fn commit(
        &self,
        scope: &Scope,
        commit: &Commit<WebhookWrite>,
    ) -> PortResult<CommitOutcome> {
        let mut state = self.state()?;
        let (id, organization, now) = match &commit.change {
            WebhookWrite::Insert { webhook, .. } => {
                (&webhook.id, &webhook.organization, webhook.created_at)
            }
            WebhookWrite::Update { webhook, .. } => {
                (&webhook.id, &webhook.organization, webhook.updated_at)
            }
            WebhookWrite::StartReplay { id, replay } => {
                (id, scope.organization(), replay.started_at)
            }
            WebhookWrite::Delete { id, at, .. }
            | WebhookWrite::ReplayDeadLetter { id, at, .. }
            | WebhookWrite::Skip { id, at, .. } => (id, scope.organization(), *at),
        };
        require_own_organization(scope, organization, &commit.events)?;
        let mut next = state.own_webhook(scope, id).cloned();
        let (written, growth) = match (&mut next, &commit.change) {
            (None, WebhookWrite::Insert { webhook, start })
                if !state.webhooks.contains_key(&webhook.id) =>
            {
                next = Some(WebhookRows::new(webhook.clone(), *start));
                (Written::Done, 1)
            }
            (None, _) => (Written::Raced, 0),
            (Some(rows), change) => (rows.apply(change), 0),
        };
        if written == Written::Raced {
            return Ok(Ok(Written::Raced));
        }
        let grown = [(Resource::Webhooks, growth)];
        if let Err(rejection) = state.accept(scope, &grown, None, commit, now) {
            return Ok(Err(rejection));
        }
        let is_deleted = matches!(commit.change, WebhookWrite::Delete { .. });
        match next.filter(|_| !is_deleted) {
            Some(rows) => drop(state.webhooks.insert(id.clone(), rows)),
            None => drop(state.webhooks.remove(id)),
        }
        Ok(Ok(Written::Done))
    }

    async fn find(&self, scope: &Scope, id: &WebhookId) -> PortResult<Option<Webhook>> {
        Ok(self.state()?.own_webhook(scope, id).map(|rows| rows.webhook.clone()))
    }

    async fn list(&self, scope: &Scope, page: &WebhookPage<WebhookId>) -> PortResult<Vec<Webhook>> {
        let state = self.state()?;
        let own = state.webhooks.values().map(|rows| &rows.webhook);
        let own = own.filter(|webhook| webhook.organization == *scope.organization());
        Ok(page_of(own, page, |webhook| (webhook.created_at, &webhook.id)))
    }

    async fn progress(&self, scope: &Scope, id: &WebhookId) -> PortResult<Option<ProgressReport>> {
        let state = self.state()?;
        let Some(rows) = state.own_webhook(scope, id) else { return Ok(None) };
        let queues = rows.retries.values().filter(|queue| !queue.settled);
        Ok(Some(ProgressReport {
            progress: rows.progress.clone(),
            retries: RetrySummary {
                queues: u32::try_from(queues.clone().count()).unwrap_or(u32::MAX),
                next_due: queues.clone().map(|queue| queue.due).min(),
            },
            oldest_failing: queues.map(|queue| queue.event.clone()).min(),
        }))
    }

    async fn attempts(
        &self,
        scope: &Scope,
        id: &WebhookId,
        page: &WebhookPage<AttemptId>,
    ) -> PortResult<Vec<AttemptRecord>> {
        let state = self.state()?;
        let rows = state.own_webhook(scope, id);
        let all = rows.into_iter().flat_map(|rows| rows.attempts.values());
        Ok(page_of(all, page, |record| (record.at, &record.id)))
    }

    async fn dead_letters(
        &self,
        scope: &Scope,
        id: &WebhookId,
        page: &WebhookPage<EventId>,
    ) -> PortResult<Vec<DeadLetter>> {
        let state = self.state()?;
        let rows = state.own_webhook(scope, id);
        let all = rows.into_iter().flat_map(|rows| rows.dead_letters.values());
        Ok(page_of(all, page, |dead| (dead.died_at, &dead.event)))
    }

    async fn first_position(
        &self,
        scope: &Scope,
        from: Timestamp,
    ) -> PortResult<Option<FeedPosition>> {
        let state = self.state()?;
        let own = state.events.iter().filter(|found| {
            found.event.organization == *scope.organization()
                && found.event.id.created_at() >= from
                && found.position > FeedPosition::START
        });
        Ok(own.min_by_key(|found| &found.event.id).map(|found| found.position))
    }
}

impl Memory {
    /// Stores a dead letter of a webhook.
    pub fn insert_dead_letter(&self, webhook: &WebhookId, dead: DeadLetter) {
        if let Ok(mut state) = self.state()
            && let Some(rows) = state.webhooks.get_mut(webhook)
        {
            rows.dead_letters.insert(dead.event.clone(), dead);
        }
    }

    /// Stores a retry queue of a webhook.
    pub fn insert_retry_queue(&self, webhook: &WebhookId, queue: RetryQueue) {
        if let Ok(mut state) = self.state()
            && let Some(rows) = state.webhooks.get_mut(webhook)
        {
            rows.retries.insert((queue.pass, queue.key.clone()), queue);
        }
    }
}

impl MemoryState {
    fn own_webhook(&self, scope: &Scope, id: &WebhookId) -> Option<&WebhookRows> {
        let own = |rows: &&WebhookRows| rows.webhook.organization == *scope.organization();
        self.webhooks.get(id).filter(own)
    }
}

/// Returns a page of entries, newest first.
fn page_of<'a, T: Clone + 'a, Id: Ord + 'a>(
    all: impl Iterator<Item = &'a T>,
    page: &WebhookPage<Id>,
    key: impl Fn(&'a T) -> (Timestamp, &'a Id),
) -> Vec<T> {
    let after = page.after.as_ref();
    let mut found: Vec<_> = all
        .filter(|entry| after.is_none_or(|after| key(entry) < (after.created_at, &after.id)))
        .collect();
    found.sort_by(|a, b| key(b).cmp(&key(a)));
    found.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
    found.into_iter().cloned().collect()
}
