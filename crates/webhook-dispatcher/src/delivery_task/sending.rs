//! Attempts: requests with the permits and the secrets that they need.

use std::{sync::Arc, time::Duration};

use domain::{
    AttemptId, AttemptKind, Jitter, StartedAttempt, Timestamp,
    ports::{SealError, WebhookRequest},
};
use tokio::time::Instant;

use super::{DeliveryTask, FinishedAttempt, PAUSE};
use crate::permits::Permit;

/// The kinds of attempts, in the order of [`DeliveryTask::permits`].
const KINDS: [AttemptKind; 2] = [AttemptKind::First, AttemptKind::Repeat];

impl DeliveryTask {
    /// Opens the secrets. Without them no attempt is made: a request is never sent unsigned because
    /// its secret cannot be opened.
    pub(super) async fn open_credentials(&mut self) {
        let (now, webhook) = (self.now(), self.deliveries.webhook());
        let previous = webhook.secrets.previous.as_ref().map(|previous| previous.until);
        let opened = webhook.credentials(&*self.shared.ports.sealer, now).await;
        self.credentials_until = previous.filter(|until| *until > now);
        let cause = match opened {
            Ok(credentials) => {
                self.credentials = Some(Arc::new(credentials));
                self.deliveries.set_sealed(false);
                return;
            }
            Err(SealError::Unavailable(error)) => {
                self.reload_at = Some(Instant::now() + PAUSE);
                error
            }
            Err(SealError::NoKey(error) | SealError::Broken(error)) => {
                self.deliveries.set_sealed(true);
                error
            }
        };
        self.credentials = None;
        tracing::warn!(
            organization = %self.key.organization,
            webhook = %self.key.webhook,
            error = &*cause as &dyn std::error::Error,
            "the secrets of a webhook cannot be opened; deliveries wait"
        );
    }

    fn may_attempt(&self) -> bool {
        self.credentials.is_some()
            && self.reload_at.is_none()
            && !self.is_stopping()
            && self.lease.allows_attempt()
    }

    /// Requests a permit for each kind of attempt that can begin, and gives up the others.
    pub(super) fn request_permits(&mut self, now: Timestamp) {
        let may_attempt = self.may_attempt();
        for (kind, request) in KINDS.into_iter().zip(&mut self.permits) {
            if !(may_attempt && self.deliveries.wants_attempt(kind, now)) {
                *request = None;
            } else if request.is_none() {
                let permits = &self.shared.permits;
                *request = Some(permits.request(&self.key.organization, kind));
            }
        }
    }

    /// Begins an attempt with a permit.
    pub(super) fn begin_attempt(&mut self, kind: AttemptKind, permit: Permit, now: Timestamp) {
        if !self.may_attempt() {
            return;
        }
        let Some(credentials) = self.credentials.clone() else { return };
        let Some(attempt) = self.deliveries.start(kind, now) else { return };
        let StartedAttempt { key, event, number, replay } = attempt;
        let (shared, webhook) = (self.shared.clone(), self.key.clone());
        let url = self.deliveries.webhook().settings.url.clone();
        self.attempts.spawn(async move {
            let request = WebhookRequest {
                organization: &webhook.organization,
                webhook: &webhook.webhook,
                url: &url,
                credentials: &credentials,
                event: &event.id,
                body: &event.body,
                number,
                at: now,
                replay,
            };
            let outcome = shared.ports.sender.send(&request).await;
            drop(permit);
            FinishedAttempt { key, event, kind, outcome }
        });
    }

    /// Takes the outcome of an attempt.
    pub(super) fn end_attempt(&mut self, finished: FinishedAttempt, now: Timestamp) {
        let FinishedAttempt { key, event, kind, outcome } = finished;
        let class = outcome.class.as_str();
        metrics::counter!("berth_webhook_attempts_total", "outcome" => class).increment(1);
        let seconds = outcome.duration.as_secs_f64();
        metrics::histogram!("berth_webhook_request_seconds").record(seconds);
        if outcome.is_success() {
            if kind == AttemptKind::First {
                let seconds = event.id.created_at().until(now).as_secs_f64();
                metrics::histogram!("berth_webhook_delivery_seconds").record(seconds);
            }
        } else {
            tracing::debug!(
                organization = %self.key.organization,
                webhook = %self.key.webhook,
                event = %event.id,
                outcome = class,
                status = outcome.status,
                cause = outcome.cause,
                "attempt failed"
            );
        }
        let was_failing = self.deliveries.is_failing();
        let environment = &self.shared.ports.environment;
        let id = AttemptId::from_bits(environment.ulid());
        let jitter = Jitter::from_random(random(environment.ulid()));
        self.deliveries.complete(&key, id, outcome, now, jitter);
        self.unpruned = self.unpruned.saturating_add(1);
        if self.deliveries.is_failing() && !was_failing {
            tracing::info!(
                organization = %self.key.organization,
                webhook = %self.key.webhook,
                outcome = class,
                "the receiver of a webhook does not work; single attempts test it"
            );
        }
    }

    /// Returns the time until the secrets are to be opened again.
    pub(super) fn credentials_expire(&self, now: Timestamp) -> Option<Duration> {
        self.credentials_until.map(|until| now.until(until))
    }
}

/// Returns the lowest bits of a ULID, which are random.
#[expect(clippy::cast_possible_truncation, reason = "the lowest bits are wanted")]
fn random(ulid: u128) -> u16 {
    ulid as u16
}
