//! Writes the changes of many webhooks in one transaction.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use domain::{DeliveryFlush, WebhookKey, ports::DeliveryStore};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

/// Time for which a batch waits for the changes of further webhooks.
const GATHERING: Duration = Duration::from_millis(5);
/// Maximum number of webhooks in a batch.
const MAX_BATCH: usize = 512;

/// The result of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// The changes are stored.
    Written,
    /// The lease is lost; nothing is stored.
    Lost,
    /// The store failed; the changes may be stored.
    Failed,
}

/// A flush with the receiver of its result.
struct Request {
    flush: DeliveryFlush,
    reply: oneshot::Sender<Flushed>,
}

/// Gives changes to the flusher.
#[derive(Clone)]
pub(crate) struct FlushQueue(mpsc::UnboundedSender<Request>);

/// Writes batches of changes, one after the other.
pub(crate) struct Flusher {
    requests: mpsc::UnboundedReceiver<Request>,
    store: Arc<dyn DeliveryStore>,
}

impl FlushQueue {
    /// Queues a flush. A webhook has at most one flush in the queue.
    pub(crate) fn flush(&self, flush: DeliveryFlush) -> oneshot::Receiver<Flushed> {
        let (reply, result) = oneshot::channel();
        // Fails after the flusher ended; then the receiver fails too.
        let _ = self.0.send(Request { flush, reply });
        result
    }
}

impl Flusher {
    pub(crate) fn new(store: Arc<dyn DeliveryStore>) -> (FlushQueue, Self) {
        let (sender, requests) = mpsc::unbounded_channel();
        (FlushQueue(sender), Self { requests, store })
    }

    /// Runs until every [`FlushQueue`] is dropped.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::new();
        while self.requests.recv_many(&mut batch, MAX_BATCH).await > 0 {
            if batch.len() < MAX_BATCH {
                tokio::time::sleep(GATHERING).await;
            }
            while batch.len() < MAX_BATCH
                && let Ok(request) = self.requests.try_recv()
            {
                batch.push(request);
            }
            self.write(std::mem::take(&mut batch)).await;
        }
    }

    async fn write(&self, batch: Vec<Request>) {
        let (flushes, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|request| (request.flush, request.reply)).unzip();
        let started = Instant::now();
        let written = self.store.flush(&flushes).await;
        metrics::histogram!("berth_webhook_flush_seconds").record(started.elapsed().as_secs_f64());
        if let Err(error) = &written {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                webhooks = flushes.len(),
                "deliveries cannot be stored; berth will retry"
            );
        }
        for (flush, reply) in flushes.iter().zip(replies) {
            // Fails if the webhook's task ended.
            let _ = reply.send(result(written.as_ref().ok(), &flush.key));
        }
    }
}

fn result(written: Option<&BTreeSet<WebhookKey>>, key: &WebhookKey) -> Flushed {
    match written {
        None => Flushed::Failed,
        Some(written) if written.contains(key) => Flushed::Written,
        Some(_) => Flushed::Lost,
    }
}
