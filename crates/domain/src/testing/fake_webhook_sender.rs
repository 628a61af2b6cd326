//! A sender of webhook requests that records them, and answers as the test requires.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    id::{EventId, OrganizationId, WebhookId},
    ports::webhook_sender::{CheckedHeader, WebhookCredentials, WebhookRequest, WebhookSender},
    webhook::{
        attempt::{AttemptOutcome, OutcomeClass},
        model::{HeaderPair, WebhookUrlText},
        settings::MASKED,
    },
};

/// A request as the receiver gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentRequest {
    /// Organization of the webhook.
    pub organization: OrganizationId,
    /// The webhook.
    pub webhook: WebhookId,
    /// Text of the URL.
    pub url: String,
    /// Secrets and headers.
    pub credentials: WebhookCredentials,
    /// The event.
    pub event: EventId,
    /// The body.
    pub body: String,
    /// Number of the attempt.
    pub number: u32,
    /// Whether a replay causes the attempt.
    pub replay: bool,
}

type Answer = dyn Fn(&SentRequest) -> AttemptOutcome + Send + Sync;

/// A sender without a network, with the bounds that the API documents. The host of a URL must not be
/// `private.test`. Headers whose names contain `token` are sensitive.
#[derive(Clone)]
pub struct FakeWebhookSender(Arc<FakeState>);

struct FakeState {
    sent: Mutex<Vec<SentRequest>>,
    answer: Mutex<Arc<Answer>>,
}

impl Default for FakeWebhookSender {
    fn default() -> Self {
        let answer: Arc<Answer> = Arc::new(|_| outcome(OutcomeClass::Success, Some(200)));
        Self(Arc::new(FakeState { sent: Mutex::default(), answer: Mutex::new(answer) }))
    }
}

/// Returns the outcome of an attempt that took 5 ms.
pub fn outcome(class: OutcomeClass, status: Option<u16>) -> AttemptOutcome {
    AttemptOutcome {
        class,
        status,
        retry_after: None,
        excerpt: None,
        duration: Duration::from_millis(5),
        cause: None,
    }
}

impl FakeWebhookSender {
    /// Answers every request from now on.
    pub fn answer(&self, answer: impl Fn(&SentRequest) -> AttemptOutcome + Send + Sync + 'static) {
        *self.0.answer.lock().expect("no panic") = Arc::new(answer);
    }

    /// Returns the requests, oldest first.
    pub fn sent(&self) -> Vec<SentRequest> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SentRequest>> {
        self.0.sent.lock().expect("no panic")
    }
}

#[async_trait]
impl WebhookSender for FakeWebhookSender {
    fn check_url(&self, text: &str) -> Result<WebhookUrlText, String> {
        let (scheme, rest) = text.split_once("://").ok_or("must begin with http:// or https://")?;
        let scheme = scheme.to_ascii_lowercase();
        let is_valid = ["http", "https"].contains(&scheme.as_str())
            && (1..=2_000).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_valid {
            return Err("is not a URL of a webhook".to_owned());
        }
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        Ok(WebhookUrlText { text: text.to_owned(), origin: format!("{scheme}://{host}") })
    }

    fn check_secret(&self, text: &str) -> Result<(), String> {
        let is_valid =
            (24..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_valid { Ok(()) } else { Err("24 to 256 visible characters".to_owned()) }
    }

    fn check_headers(
        &self,
        headers: &[HeaderPair],
        previous: &[HeaderPair],
    ) -> Result<Vec<CheckedHeader>, String> {
        if headers.len() > 20 {
            return Err("at most 20 headers".to_owned());
        }
        let check = |pair: &HeaderPair| {
            if !is_header_name(&pair.name) || !is_header_value(&pair.value) {
                return Err("is not a header".to_owned());
            }
            if pair.name.eq_ignore_ascii_case("host") {
                return Err("Host must not be set".to_owned());
            }
            let is_sensitive = pair.name.to_ascii_lowercase().contains("token");
            let (mut header, mut masked) = (pair.clone(), pair.clone());
            if is_sensitive && pair.value == MASKED {
                let earlier = previous.iter().find(|earlier| earlier.name == pair.name);
                let earlier = earlier.ok_or("a masked value without a previous value")?;
                header.value.clone_from(&earlier.value);
            }
            if is_sensitive {
                MASKED.clone_into(&mut masked.value);
            }
            Ok(CheckedHeader { header, masked })
        };
        headers.iter().map(check).collect()
    }

    async fn check_destination(
        &self,
        _: &OrganizationId,
        url: &WebhookUrlText,
    ) -> Result<(), String> {
        match url.origin.as_str() {
            "https://private.test" => Err("is not a public address".to_owned()),
            _ => Ok(()),
        }
    }

    async fn send(&self, request: &WebhookRequest<'_>) -> AttemptOutcome {
        let sent = SentRequest {
            organization: request.organization.clone(),
            webhook: request.webhook.clone(),
            url: request.url.text.clone(),
            credentials: request.credentials.clone(),
            event: request.event.clone(),
            body: String::from_utf8_lossy(request.body).into_owned(),
            number: request.number,
            replay: request.replay,
        };
        let answer = self.0.answer.lock().expect("no panic").clone();
        let outcome = answer(&sent);
        self.lock().push(sent);
        outcome
    }
}

fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(is_token)
}

fn is_header_value(value: &str) -> bool {
    let is_inner = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    value.len() <= 1_024 && value.bytes().all(is_inner) && value.trim() == value
}
