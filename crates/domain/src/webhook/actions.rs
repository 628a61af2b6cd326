//! Actions on webhooks: ping, pause, resume, replay, and the handling of single dead letters.

use crate::{
    access::{Scope, or_not_found},
    caller::{Caller, Capability},
    commit::{Commit, Decision, commit_once, execute},
    error::{Error, Result},
    event::{Event, payload::EventPayload},
    feed::{filter::FeedRights, position::FeedPosition},
    id::{EventId, WebhookId},
    idempotency::Recorder,
    ports::{store::written::Written, webhook_sender::WebhookRequest},
    time::Timestamp,
    violation::{FieldPath, Violation},
    webhook::{
        attempt::AttemptOutcome,
        credentials::seal_error,
        field::WebhookField,
        model::Webhook,
        replay::{Replay, ReplaySpec},
        service::Webhooks,
        write::WebhookWrite,
    },
};

/// Maximum difference by which clocks of routers differ. The ids of events sort by these clocks, so
/// a search by time begins earlier.
const CLOCK_SKEW: std::time::Duration = std::time::Duration::from_secs(60);

impl Webhooks {
    /// Sends a test request and returns its outcome. The request is neither stored nor retried, and
    /// does not wait for a pause to end.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], a conflict for a secret whose seal key is missing,
    /// and errors of the store.
    pub async fn ping(&self, caller: &Caller, id: &str) -> Result<AttemptOutcome> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let webhook = self.find(&scope, id).await?;
        let at = self.ports.environment.now();
        let credentials = webhook.credentials(&*self.ports.sealer, at).await.map_err(seal_error)?;
        let event = self.event(&scope, EventPayload::WebhookPing { webhook: webhook.id.clone() });
        let body = (self.ports.render)(&event);
        let request = WebhookRequest {
            organization: &webhook.organization,
            webhook: &webhook.id,
            url: &webhook.settings.url,
            credentials: &credentials,
            body: &body,
            event: &event.id,
            number: 1,
            at,
            replay: false,
        };
        Ok(self.ports.sender.send(&request).await)
    }

    /// Pauses the deliveries. Events wait until the webhook is resumed.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], and errors of the store.
    pub async fn pause(
        &self,
        caller: &Caller,
        id: &str,
        recorder: Recorder<'_, Webhook>,
    ) -> Result<Webhook> {
        let pause = |webhook: &Webhook| {
            (!webhook.paused).then(|| Webhook { paused: true, ..webhook.clone() })
        };
        self.change(caller, id, recorder, pause).await
    }

    /// Resumes the deliveries where they stopped, after a pause, a disablement or failures.
    ///
    /// # Errors
    /// As [`pause`](Self::pause).
    pub async fn resume(
        &self,
        caller: &Caller,
        id: &str,
        recorder: Recorder<'_, Webhook>,
    ) -> Result<Webhook> {
        let resumed_at = Some(self.ports.environment.now());
        let resume = |webhook: &Webhook| {
            Some(Webhook { paused: false, disabled: None, resumed_at, ..webhook.clone() })
        };
        self.change(caller, id, recorder, resume).await
    }

    async fn change(
        &self,
        caller: &Caller,
        id: &str,
        recorder: Recorder<'_, Webhook>,
        change: impl Fn(&Webhook) -> Option<Webhook>,
    ) -> Result<Webhook> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let decide = |webhook: Webhook| match change(&webhook) {
            None => Ok(Decision::Keep(webhook)),
            Some(next) => {
                let changed = vec![WebhookField::Paused];
                self.decide_update(&scope, recorder, &webhook, next, changed, None)
            }
        };
        execute(&self.owned(&scope, recorder), || self.find(&scope, id), decide).await
    }

    /// Starts a replay.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Validation`], [`Error::NotFound`], [`Error::Gone`] for an
    /// event that is not in the feed, a conflict during another replay, and errors of the stores.
    pub async fn replay(
        &self,
        caller: &Caller,
        id: &str,
        spec: &ReplaySpec,
        recorder: Recorder<'_, Replay>,
    ) -> Result<Replay> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let violations = spec.violations();
        if !violations.is_empty() {
            return Err(Error::Validation(violations));
        }
        let webhook = self.find(&scope, id).await?.id;
        let until = self.ports.feed.horizon().await?.safe;
        let position = self.replay_position(caller, &scope, spec).await?.unwrap_or(until);
        let replay = Replay {
            started_at: self.ports.environment.now(),
            position,
            until,
            from: spec.since,
            before: spec.until,
            dead_only: spec.dead_only,
        };
        let idempotency = recorder.map(|recorder| recorder.record(&replay)).transpose()?;
        let change = WebhookWrite::StartReplay { id: webhook.clone(), replay: replay.clone() };
        let events = vec![self.updated(&scope, &webhook, WebhookField::Replay)];
        let commit = Commit { change, events, idempotency };
        if commit_once(&self.owned(&scope, recorder), &commit).await? == Written::Done {
            return Ok(replay);
        }
        self.find(&scope, id).await?;
        Err(Error::conflict("a replay of this webhook is in progress"))
    }

    /// Returns the position after which a replay begins. `None` if no event is so new.
    async fn replay_position(
        &self,
        caller: &Caller,
        scope: &Scope,
        spec: &ReplaySpec,
    ) -> Result<Option<FeedPosition>> {
        let (feed, rights) = (&self.ports.organization_feed, FeedRights::of(caller)?);
        if let Some(after) = spec.after.as_deref().and_then(EventId::parse) {
            return match feed.position_of(&rights, &after).await? {
                Some(position) => Ok(Some(position)),
                None => Err(Error::Gone { oldest: feed.floor(&rights).await?.oldest }),
            };
        }
        let Some(since) = spec.since else { return Ok(Some(FeedPosition::START)) };
        let first = self.ports.store.first_position(scope, since.minus(CLOCK_SKEW)).await?;
        let before = |position: FeedPosition| position.number().saturating_sub(1);
        Ok(first.map(|first| FeedPosition::from_number(before(first))))
    }

    /// Delivers a dead letter again, once.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], and errors of the store.
    pub async fn replay_dead_letter(
        &self,
        caller: &Caller,
        id: &str,
        event: &str,
        recorder: Recorder<'_, ()>,
    ) -> Result<()> {
        let change = |id, event, at| WebhookWrite::ReplayDeadLetter { id, event, at };
        self.change_event(caller, id, event, recorder, change).await
    }

    /// Makes a failing event a dead letter at once, so that the later events of its session are
    /// delivered.
    ///
    /// # Errors
    /// As [`replay_dead_letter`](Self::replay_dead_letter); [`Error::NotFound`] for an event that is
    /// not the failing event of a session.
    pub async fn skip(
        &self,
        caller: &Caller,
        id: &str,
        event: &str,
        recorder: Recorder<'_, ()>,
    ) -> Result<()> {
        let change = |id, event, at| WebhookWrite::Skip { id, event, at };
        self.change_event(caller, id, event, recorder, change).await
    }

    async fn change_event(
        &self,
        caller: &Caller,
        id: &str,
        event: &str,
        recorder: Recorder<'_, ()>,
        change: impl Fn(WebhookId, EventId, Timestamp) -> WebhookWrite,
    ) -> Result<()> {
        let scope = caller.may_throughout(Capability::Manage)?;
        let webhook = self.find(&scope, id).await?.id;
        let event = or_not_found("dead letter", EventId::parse(event))?;
        let idempotency = recorder.map(|recorder| recorder.record(&())).transpose()?;
        let change = change(webhook.clone(), event, self.ports.environment.now());
        let events = vec![self.updated(&scope, &webhook, WebhookField::DeadLetters)];
        let commit = Commit { change, events, idempotency };
        let written = commit_once(&self.owned(&scope, recorder), &commit).await?;
        or_not_found("dead letter", (written == Written::Done).then_some(()))
    }

    fn updated(&self, scope: &Scope, webhook: &WebhookId, field: WebhookField) -> Event {
        let (webhook, changed) = (webhook.clone(), vec![field]);
        self.event(scope, EventPayload::WebhookUpdated { webhook, changed })
    }
}

impl ReplaySpec {
    /// Returns every violation.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut add = |field, reason: &str| found.push(Violation::new(field, reason));
        match (self.since, &self.after) {
            (Some(_), Some(_)) => add(FieldPath::ReplayAfter, "since and after exclude each other"),
            (None, None) if !self.dead_only => {
                add(FieldPath::ReplaySince, "since or after is required, unless deadOnly is true");
            }
            _ => {}
        }
        if self.after.as_deref().is_some_and(|text| EventId::parse(text).is_none()) {
            add(FieldPath::ReplayAfter, "must be the id of an event");
        }
        if let (Some(since), Some(until)) = (self.since, self.until)
            && until <= since
        {
            add(FieldPath::ReplayUntil, "must be after since");
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replay_needs_one_beginning() {
        let at = |millis| Some(Timestamp::from_millis(millis));
        let id = |bits| Some(EventId::from_bits(bits).to_string());
        let fields = |spec: ReplaySpec| {
            spec.violations().into_iter().map(|found| found.field).collect::<Vec<_>>()
        };
        let spec = ReplaySpec::default;
        assert_eq!(fields(spec()), [FieldPath::ReplaySince]);
        assert!(fields(ReplaySpec { dead_only: true, ..spec() }).is_empty());
        assert!(fields(ReplaySpec { since: at(1), until: at(2), ..spec() }).is_empty());
        assert!(fields(ReplaySpec { after: id(7), ..spec() }).is_empty());
        let both = ReplaySpec { since: at(1), after: id(7), ..spec() };
        assert_eq!(fields(both), [FieldPath::ReplayAfter]);
        let wrong = ReplaySpec { after: Some("cur_x".into()), ..spec() };
        assert_eq!(fields(wrong), [FieldPath::ReplayAfter]);
        let reversed = ReplaySpec { since: at(2), until: at(2), ..spec() };
        assert_eq!(fields(reversed), [FieldPath::ReplayUntil]);
    }
}
