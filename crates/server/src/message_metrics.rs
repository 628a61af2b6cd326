//! Counts messages as they are stored, and watches the age of the queue.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    AckLevel, MessageDirection, MessageSource, MessageState, MessagingChange, MessagingCommit,
    MessagingLookup, MessagingState, OutboxEntry, OutboxState, SessionId,
    ports::{Environment, MessagingStore, OutboxStore, PortResult},
};
use metrics::{counter, gauge, histogram};
use tokio_util::sync::CancellationToken;

/// Time between two reads of the oldest queued message.
const INTERVAL: Duration = Duration::from_secs(10);

/// A store of messages that counts what is written.
pub(crate) struct MeteredMessaging<S>(pub(crate) Arc<S>);

#[async_trait]
impl<S: MessagingStore> MessagingStore for MeteredMessaging<S> {
    async fn messaging_states(
        &self,
        lookups: &[MessagingLookup],
    ) -> PortResult<Vec<MessagingState>> {
        self.0.messaging_states(lookups).await
    }

    async fn commit_messaging(
        &self,
        commits: &[MessagingCommit],
    ) -> PortResult<BTreeSet<SessionId>> {
        let written = self.0.commit_messaging(commits).await?;
        for MessagingCommit { change, .. } in commits {
            if written.contains(&change.row.session) {
                count(change);
            }
        }
        Ok(written)
    }
}

fn count(change: &MessagingChange) {
    for message in &change.new_messages {
        let outcome = match message.source {
            MessageSource::Api => "accepted",
            MessageSource::Phone | MessageSource::OtherDevice => "typed",
            MessageSource::Contact if message.flags.undecryptable => "undecryptable",
            MessageSource::Contact => "received",
        };
        count_message(message.direction(), outcome);
    }
    for update in &change.updates {
        if update.recovered.is_some() {
            count_message(MessageDirection::In, "recovered");
        }
        let is_entry =
            |entry: &&OutboxEntry| entry.message == update.id && entry.state == OutboxState::Done;
        if let Some(entry) = change.entries.iter().find(is_entry) {
            count_end(entry, update.state, change);
        }
    }
}

/// Counts the end of a message's time in the outbox.
fn count_end(entry: &OutboxEntry, state: MessageState, change: &MessagingChange) {
    match state {
        MessageState::Reached(level) if level >= AckLevel::Sent => {
            count_message(MessageDirection::Out, "sent");
            let wait = entry.accepted_at.until(change.at);
            histogram!("berth_message_sent_seconds").record(wait.as_secs_f64());
        }
        MessageState::Reached(_) => {}
        MessageState::Failed(failure) => {
            count_message(MessageDirection::Out, "failed");
            let reason = failure.reason.as_str();
            counter!("berth_message_failures_total", "reason" => reason).increment(1);
        }
    }
}

fn count_message(direction: MessageDirection, outcome: &'static str) {
    let direction = direction.as_str();
    counter!("berth_messages_total", "direction" => direction, "outcome" => outcome).increment(1);
}

/// Reads the age of the oldest queued message until `stop` is cancelled.
pub(crate) async fn watch_queue(
    store: impl OutboxStore,
    environment: Arc<dyn Environment>,
    stop: CancellationToken,
) {
    loop {
        match store.oldest_waiting().await {
            Ok(oldest) => {
                let age = oldest.map_or(Duration::ZERO, |at| at.until(environment.now()));
                gauge!("berth_message_queue_oldest_seconds").set(age.as_secs_f64());
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "the oldest queued message cannot be read now");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stop.cancelled() => return,
        }
    }
}
