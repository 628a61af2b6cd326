//! Takes decrypted messages into the journal before WhatsApp is told that they arrived.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use wacore::types::events::InboundMessage;
use whatsapp_rust::{Client, InboundDurabilityHook};

use super::{classify, feed::SessionFeed, lost_content, names};
use crate::journal::NewItem;

/// Attempts to write a batch before the messages stay unacknowledged.
const MAX_ATTEMPTS: u32 = 5;
/// Wait after the first failed attempt; grows with each.
const RETRY_WAIT: Duration = Duration::from_millis(200);
/// The shortest time between two connections that only repeat unacknowledged messages.
const MIN_RECONNECT_MS: i64 = 60_000;

/// Writes each batch of decrypted messages to the journal.
pub(crate) struct InboundJournal {
    pub(super) feed: Arc<SessionFeed>,
    /// Unix milliseconds of the newest reconnection after a failed write.
    pub(super) reconnected_at: AtomicI64,
}

impl InboundJournal {
    pub(crate) fn new(feed: Arc<SessionFeed>) -> Arc<Self> {
        Arc::new(Self { feed, reconnected_at: AtomicI64::new(0) })
    }

    async fn item(client: &Arc<Client>, inbound: &InboundMessage) -> Option<NewItem> {
        let known = match names::unnamed(&inbound.info) {
            Some(person) => names::other_name(client, person).await,
            None => None,
        };
        if lost_content::is_placeholder(&inbound.message) {
            return classify::lost(&inbound.info, known);
        }
        classify::message(&inbound.message, &inbound.info, known)
    }

    /// Makes WhatsApp send the unacknowledged messages again, which it does at the next connection
    /// only.
    fn reconnect(&self, client: &Arc<Client>) {
        let (now, before) =
            (wacore::time::now_millis(), self.reconnected_at.load(Ordering::Relaxed));
        let is_first = now.saturating_sub(before) >= MIN_RECONNECT_MS
            && self
                .reconnected_at
                .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_first {
            let client = client.clone();
            tokio::spawn(async move { client.reconnect_immediately().await });
        }
    }
}

#[async_trait]
impl InboundDurabilityHook for InboundJournal {
    async fn on_messages(
        &self,
        client: Arc<Client>,
        batch: &[InboundMessage],
    ) -> anyhow::Result<()> {
        let mut failures = 0;
        loop {
            let mut items = Vec::with_capacity(batch.len());
            for inbound in batch {
                items.extend(Self::item(&client, inbound).await);
            }
            if items.is_empty() {
                return Ok(());
            }
            let Err(error) = self.feed.append(items).await else {
                let is_lost = |it: &&InboundMessage| lost_content::is_placeholder(&it.message);
                for lost in batch.iter().filter(is_lost) {
                    lost_content::request_again(&client, &lost.info);
                }
                return Ok(());
            };
            failures += 1;
            let session = self.feed.session.as_str();
            tracing::error!(session, %error, "messages cannot be written to the journal");
            if failures == MAX_ATTEMPTS {
                self.reconnect(&client);
                return Err(error.into());
            }
            tokio::time::sleep(RETRY_WAIT * failures).await;
        }
    }
}
