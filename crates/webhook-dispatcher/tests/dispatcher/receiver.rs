//! A receiver of webhook requests that records each request and answers after a delay.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    AttemptOutcome, EventId, HeaderPair, OrganizationId, OutcomeClass, WebhookId, WebhookUrlText,
    ports::{CheckedHeader, WebhookCredentials, WebhookRequest, WebhookSender},
    testing::{FakeWebhookSender, outcome},
};
use tokio::time::{Instant, sleep};

/// A request as the receiver gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) at: Instant,
    pub(crate) organization: OrganizationId,
    pub(crate) webhook: WebhookId,
    pub(crate) event: EventId,
    pub(crate) body: Vec<u8>,
    pub(crate) number: u32,
    pub(crate) replay: bool,
    pub(crate) credentials: WebhookCredentials,
    /// Whether the receiver took the event. False before the answer, and for a request whose sender
    /// went away.
    pub(crate) taken: bool,
}

type Answer = dyn Fn(&Received) -> (Duration, AttemptOutcome) + Send + Sync;

/// The receiver of all webhooks. Clones share their state.
#[derive(Clone)]
pub(crate) struct Receiver {
    checks: FakeWebhookSender,
    received: Arc<Mutex<Vec<Received>>>,
    answer: Arc<Mutex<Arc<Answer>>>,
}

/// Returns the answer that takes the event after 5 ms.
pub(crate) fn taken() -> (Duration, AttemptOutcome) {
    (Duration::from_millis(5), outcome(OutcomeClass::Success, Some(200)))
}

/// Returns the answer that rejects the event after 5 ms.
pub(crate) fn rejected() -> (Duration, AttemptOutcome) {
    (Duration::from_millis(5), outcome(OutcomeClass::ClientError, Some(400)))
}

/// Returns the failure of a request without an answer.
pub(crate) fn hanging() -> (Duration, AttemptOutcome) {
    (Duration::from_secs(15), outcome(OutcomeClass::Timeout, None))
}

/// Returns the failure of a connection that nobody accepts.
pub(crate) fn unreachable() -> (Duration, AttemptOutcome) {
    (Duration::from_millis(5), outcome(OutcomeClass::Connect, None))
}

impl Receiver {
    pub(crate) fn new() -> Self {
        Self {
            checks: FakeWebhookSender::default(),
            received: Arc::default(),
            answer: Arc::new(Mutex::new(Arc::new(|_| taken()))),
        }
    }

    /// Answers every request from now on.
    pub(crate) fn answer(
        &self,
        answer: impl Fn(&Received) -> (Duration, AttemptOutcome) + Send + Sync + 'static,
    ) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    /// Returns the requests, oldest first.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Returns the events that a webhook took, in order.
    pub(crate) fn taken_by(&self, webhook: &WebhookId) -> Vec<EventId> {
        let all = self.received();
        let own = all.into_iter().filter(|one| one.webhook == *webhook && one.taken);
        own.map(|one| one.event).collect()
    }

    /// Returns the number of requests of a webhook.
    pub(crate) fn count(&self, webhook: &WebhookId) -> usize {
        self.received().iter().filter(|one| one.webhook == *webhook).count()
    }
}

#[async_trait]
impl WebhookSender for Receiver {
    fn check_url(&self, text: &str) -> Result<WebhookUrlText, String> {
        self.checks.check_url(text)
    }

    fn check_secret(&self, text: &str) -> Result<(), String> {
        self.checks.check_secret(text)
    }

    fn check_headers(
        &self,
        headers: &[HeaderPair],
        previous: &[HeaderPair],
    ) -> Result<Vec<CheckedHeader>, String> {
        self.checks.check_headers(headers, previous)
    }

    async fn check_destination(
        &self,
        organization: &OrganizationId,
        url: &WebhookUrlText,
    ) -> Result<(), String> {
        self.checks.check_destination(organization, url).await
    }

    async fn send(&self, request: &WebhookRequest<'_>) -> AttemptOutcome {
        let received = Received {
            at: Instant::now(),
            organization: request.organization.clone(),
            webhook: request.webhook.clone(),
            event: request.event.clone(),
            body: request.body.to_vec(),
            number: request.number,
            replay: request.replay,
            credentials: request.credentials.clone(),
            taken: false,
        };
        let answer = self.answer.lock().unwrap().clone();
        let (delay, outcome) = answer(&received);
        let at = {
            let mut all = self.received.lock().unwrap();
            all.push(received);
            all.len() - 1
        };
        sleep(delay).await;
        self.received.lock().unwrap()[at].taken = outcome.is_success();
        AttemptOutcome { duration: delay, ..outcome }
    }
}
