//! Requests to the receivers of webhooks.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{
    event::Event,
    id::{EventId, OrganizationId, WebhookId},
    time::Timestamp,
    webhook::{
        attempt::AttemptOutcome,
        model::{HeaderPair, WebhookUrlText},
    },
};

/// Renders an event as the JSON text that streams, webhooks and the audit log show.
pub type EventRenderer = Arc<dyn Fn(&Event) -> Vec<u8> + Send + Sync>;

/// A valid header of a webhook's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedHeader {
    /// Name and value.
    pub header: HeaderPair,
    /// Name and value as the owner sees them: the value of a sensitive header is masked.
    pub masked: HeaderPair,
}

/// What an attempt is signed and sent with. `Debug` omits all values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct WebhookCredentials {
    /// The newest secret. `None` for a request without signature.
    pub secret: Option<String>,
    /// The secret before a rotation, while it still signs.
    pub previous: Option<String>,
    /// Headers of the owner.
    pub headers: Vec<HeaderPair>,
}

impl fmt::Debug for WebhookCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookCredentials")
            .field("signed", &self.secret.is_some())
            .finish_non_exhaustive()
    }
}

/// One request to a receiver. `Debug` omits the body.
#[derive(Clone, Copy)]
pub struct WebhookRequest<'a> {
    /// Organization of the webhook.
    pub organization: &'a OrganizationId,
    /// The webhook.
    pub webhook: &'a WebhookId,
    /// Destination.
    pub url: &'a WebhookUrlText,
    /// Secrets and headers.
    pub credentials: &'a WebhookCredentials,
    /// Id of the event.
    pub event: &'a EventId,
    /// The rendered event, which is signed and sent as it is.
    pub body: &'a [u8],
    /// Number of the attempt of the event, from 1.
    pub number: u32,
    /// Start of the attempt.
    pub at: Timestamp,
    /// Whether a replay causes the attempt.
    pub replay: bool,
}

impl fmt::Debug for WebhookRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookRequest")
            .field("webhook", &self.webhook)
            .field("event", &self.event)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// Sends webhook requests, and knows which can be sent. Reasons are texts for the owner that name
/// no address.
#[async_trait]
pub trait WebhookSender: Send + Sync {
    /// Checks the syntax of a URL.
    ///
    /// # Errors
    /// The reason for which the text is no URL of a webhook.
    fn check_url(&self, text: &str) -> Result<WebhookUrlText, String>;

    /// Checks a signing secret.
    ///
    /// # Errors
    /// The reason for which the text is no secret.
    fn check_secret(&self, text: &str) -> Result<(), String>;

    /// Checks headers. A masked value stands for the value of the same name in `previous`.
    ///
    /// # Errors
    /// The reason for which the headers cannot be sent.
    fn check_headers(
        &self,
        headers: &[HeaderPair],
        previous: &[HeaderPair],
    ) -> Result<Vec<CheckedHeader>, String>;

    /// Looks up the host of a URL and checks that berth may send there. A name that does not exist
    /// now is no error: every attempt checks anew.
    ///
    /// # Errors
    /// The reason for which the destination is not allowed.
    async fn check_destination(
        &self,
        organization: &OrganizationId,
        url: &WebhookUrlText,
    ) -> Result<(), String>;

    /// Sends one request and waits for the outcome, 17 s at most.
    async fn send(&self, request: &WebhookRequest<'_>) -> AttemptOutcome;
}
