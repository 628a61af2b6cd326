//! Sends webhook requests by crate `webhook-client`.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    AttemptOutcome, HeaderPair, OrganizationId, OutcomeClass, WebhookUrlText,
    ports::{CheckedHeader, WebhookRequest, WebhookSender},
};
use hyper::header::HeaderValue;
use tokio::net::lookup_host;
use tokio_util::sync::CancellationToken;
use webhook_client::{
    Allowed, Attempt, CheckError, Config, CustomHeaders, Delivery, Limits, Outcome, Sender,
    SigningSecret, SigningSecrets, WebhookUrl,
};

use crate::config::Listeners;

/// Reason for the owner of a webhook whose URL leads to an address that is not allowed. The text
/// names no address: the owner must not learn the addresses of internal names.
const NOT_ALLOWED: &str = "leads to an address that is not public; the operator of berth can allow \
                           it by BERTH_WEBHOOK_ALLOW";

/// The sender of the router.
#[derive(Clone)]
pub(crate) struct RouterWebhookSender(Sender);

impl RouterWebhookSender {
    pub(crate) fn new(sender: Sender) -> Self {
        Self(sender)
    }
}

/// Creates the sender of webhook requests, which never reaches the listeners of berth.
///
/// # Errors
/// When TLS cannot be configured.
pub(crate) fn start(allowed: Allowed, listeners: Listeners) -> anyhow::Result<Sender> {
    let user_agent = HeaderValue::from_static(concat!("berth/", env!("CARGO_PKG_VERSION")));
    let config = Config {
        allowed,
        denied: own_addresses(listeners, &[]),
        roots: webhook_client::default_roots(),
        user_agent,
        limits: Limits::default(),
    };
    Sender::new(config).context("TLS to the receivers of webhooks cannot be set up")
}

/// Keeps webhooks away from the listeners and the database of berth: looks the database servers up
/// each minute, until `stop`.
pub(crate) async fn deny_own_addresses(
    sender: Sender,
    listeners: Listeners,
    servers: Vec<(String, u16)>,
    stop: CancellationToken,
) {
    let lookups = async {
        loop {
            let mut found = Vec::new();
            for (name, port) in &servers {
                // A name that cannot be resolved now keeps no address from being denied later.
                found.extend(lookup_host((name.as_str(), *port)).await.into_iter().flatten());
            }
            if found.len() >= servers.len() {
                sender.deny(own_addresses(listeners, &found));
            }
            tokio::time::sleep(LOOKUP_INTERVAL).await;
        }
    };
    stop.run_until_cancelled(lookups).await;
}

/// Time between two lookups of the database servers.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(60);

fn own_addresses(listeners: Listeners, database: &[SocketAddr]) -> Vec<SocketAddr> {
    let Listeners { public, nodes, ops } = listeners;
    [public, nodes, ops].into_iter().chain(database.iter().copied()).collect()
}

#[async_trait]
impl WebhookSender for RouterWebhookSender {
    fn check_url(&self, text: &str) -> Result<WebhookUrlText, String> {
        let url: WebhookUrl = text.parse().map_err(|error| format!("{error}"))?;
        Ok(WebhookUrlText { text: text.to_owned(), origin: url.to_string() })
    }

    fn check_secret(&self, text: &str) -> Result<(), String> {
        SigningSecret::new(text.to_owned()).map(drop).map_err(|error| error.to_string())
    }

    fn check_headers(
        &self,
        headers: &[HeaderPair],
        previous: &[HeaderPair],
    ) -> Result<Vec<CheckedHeader>, String> {
        let previous = custom_headers(previous, &CustomHeaders::default())?;
        let checked = custom_headers(headers, &previous)?;
        let pair = |(name, value): (&str, &str)| HeaderPair {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let both = checked.exposed().zip(checked.masked());
        Ok(both
            .map(|(header, masked)| CheckedHeader { header: pair(header), masked: pair(masked) })
            .collect())
    }

    async fn check_destination(
        &self,
        organization: &OrganizationId,
        url: &WebhookUrlText,
    ) -> Result<(), String> {
        let parsed: WebhookUrl = url.text.parse().map_err(|error| format!("{error}"))?;
        match self.0.check(organization.as_str(), &parsed).await {
            // The name may exist later; every attempt looks it up again.
            Ok(()) | Err(CheckError::Unresolved(_)) => Ok(()),
            Err(CheckError::Forbidden(forbidden)) => {
                let cause = forbidden.to_string();
                tracing::info!(url = url.origin, cause, "URL of a webhook is not allowed");
                Err(NOT_ALLOWED.to_owned())
            }
        }
    }

    async fn send(&self, request: &WebhookRequest<'_>) -> AttemptOutcome {
        match attempt(request) {
            Ok(attempt) => attempt_outcome(self.0.send(&attempt).await),
            // The parts were checked when they were stored.
            Err(cause) => AttemptOutcome {
                class: OutcomeClass::Malformed,
                status: None,
                retry_after: None,
                excerpt: None,
                duration: Duration::ZERO,
                cause: Some(cause),
            },
        }
    }
}

fn custom_headers(pairs: &[HeaderPair], previous: &CustomHeaders) -> Result<CustomHeaders, String> {
    let pairs = pairs.iter().map(|pair| (pair.name.as_str(), pair.value.as_str()));
    CustomHeaders::new(pairs, previous).map_err(|error| error.to_string())
}

fn attempt(request: &WebhookRequest<'_>) -> Result<Attempt, String> {
    let secret = |text: &String| SigningSecret::new(text.clone()).map_err(|e| e.to_string());
    let credentials = request.credentials;
    let current = credentials.secret.as_ref().map(secret).transpose()?;
    let previous = credentials.previous.as_ref().map(secret).transpose()?;
    let delivery = Delivery {
        organization: request.organization.to_string(),
        webhook: request.webhook.to_string(),
        url: request.url.text.parse().map_err(|error| format!("{error}"))?,
        event: request.event.to_string(),
        body: Bytes::copy_from_slice(request.body),
        number: request.number,
        at: u64::try_from(request.at.millis()).unwrap_or(0),
        replay: request.replay,
        secrets: current.map(|current| SigningSecrets { current, previous }),
        headers: custom_headers(&credentials.headers, &CustomHeaders::default())?,
    };
    Attempt::new(&delivery).map_err(|error| error.to_string())
}

fn attempt_outcome(outcome: Outcome) -> AttemptOutcome {
    let excerpt = outcome.excerpt.filter(|_| outcome.class != OutcomeClass::Success);
    AttemptOutcome {
        class: outcome.class,
        status: outcome.status,
        retry_after: outcome.retry_after,
        excerpt: excerpt.map(|bytes| readable(&bytes)),
        duration: outcome.duration,
        cause: outcome.cause,
    }
}

/// Returns the bytes as text. PostgreSQL cannot store the character U+0000.
fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpt_has_replacement_characters() {
        assert_eq!(readable(b"a\0\xff"), "a\u{fffd}\u{fffd}");
    }
}
