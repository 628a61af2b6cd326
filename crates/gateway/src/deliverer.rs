//! Takes the journal to the router: in order for each session, at least once, and fair between the
//! sessions.
//!
//! Decision: ADR 0047.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use gateway_protocol::Delivered;
use tokio::sync::{Notify, watch};

use crate::{
    journal::{Batch, Journal, StoredItem},
    router_client::{RouterClient, RouterError},
    session_name::SessionName,
};

/// Requests at the same time, with different sessions.
const MAX_REQUESTS: usize = 4;
/// Bounds of the wait after a failed request.
const MIN_RETRY_INTERVAL: Duration = Duration::from_millis(100);
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Interval in which deleted items are removed from the log of the file.
const CLEAR_INTERVAL: Duration = Duration::from_secs(10);

/// Delivers the journal of a node.
pub(crate) struct Deliverer {
    pub(crate) journal: Arc<Journal>,
    pub(crate) router: Arc<RouterClient>,
    pub(crate) incarnation: String,
    /// The generation of the node; 0 without a registration.
    pub(crate) generation: watch::Receiver<u64>,
    /// Notified when the router does not know this node.
    pub(crate) unregistered: Arc<Notify>,
}

impl Deliverer {
    /// Delivers items. Never returns.
    pub(crate) async fn run(self) {
        let requests = (0..MAX_REQUESTS).map(|_| self.send_batches());
        tokio::join!(futures_util::future::join_all(requests), self.clear_log());
    }

    async fn send_batches(&self) {
        let mut generation = self.generation.clone();
        let mut wait = MIN_RETRY_INTERVAL;
        loop {
            let present = registered(&mut generation).await;
            let batch = self.journal.next_batch().await;
            let sent = self.router.deliver(request_body(&self.incarnation, &self.journal, &batch));
            match sent.await {
                Ok(delivered) => {
                    self.settle(&batch, &delivered).await;
                    wait = MIN_RETRY_INTERVAL;
                }
                Err(RouterError::NotRegistered) => {
                    self.put_back(&batch);
                    self.unregistered.notify_one();
                    let changed = generation.wait_for(|generation| *generation != present);
                    let _ = tokio::time::timeout(MAX_RETRY_INTERVAL, changed).await;
                }
                Err(RouterError::Rejected(error)) => {
                    tracing::error!(
                        error,
                        "the router rejects a delivery; retrying session by session"
                    );
                    self.refuse(&batch);
                }
                Err(RouterError::Other(error)) => {
                    tracing::warn!(error, "delivery failed; retrying");
                    self.put_back(&batch);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(MAX_RETRY_INTERVAL);
                }
            }
        }
    }

    /// Removes deleted items from the log of the file when the journal is empty. Never returns.
    async fn clear_log(&self) {
        loop {
            tokio::time::sleep(CLEAR_INTERVAL).await;
            if let Err(error) = self.journal.clear_log_if_empty().await {
                tracing::warn!(%error, "cannot clear the log of the journal");
            }
        }
    }

    async fn settle(&self, batch: &Batch, delivered: &Delivered) {
        for (session, items) in &batch.sessions {
            let name = session.as_str();
            let through = delivered.through.get(name).copied().unwrap_or_default();
            let stored = items.iter().take_while(|item| item.seq <= through).count();
            if delivered.gone.iter().any(|gone| gone == name) {
                if let Err(error) = self.journal.forget(session).await {
                    tracing::error!(session = name, %error, "cannot remove a session from the journal");
                }
            } else if let Some(last) = stored.checked_sub(1).and_then(|last| items.get(last)) {
                self.journal.settle(session, last.seq, stored as u64).await;
            } else {
                tracing::warn!(session = name, "the router did not store a delivery; retrying");
                self.journal.put_back_refused(session, items.len() as u64);
            }
        }
    }

    fn put_back(&self, batch: &Batch) {
        self.journal.put_back(batch.sessions.iter().map(|(session, _)| session));
    }

    fn refuse(&self, batch: &Batch) {
        for (session, items) in &batch.sessions {
            self.journal.put_back_refused(session, items.len() as u64);
        }
    }
}

/// Waits for a registration and returns its generation.
async fn registered(generation: &mut watch::Receiver<u64>) -> u64 {
    let present = generation.wait_for(|generation| *generation > 0).await.map(|present| *present);
    match present {
        Ok(present) => present,
        Err(_) => std::future::pending().await, // the node ends
    }
}

/// Writes the JSON of [`gateway_protocol::Deliveries`]. The stored items are JSON already.
fn request_body(incarnation: &str, journal: &Journal, batch: &Batch) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let mut body = format!(
        r#"{{"incarnation":{},"journal":{},"deliveries":["#,
        text(incarnation),
        text(journal.name())
    );
    for (index, (session, items)) in batch.sessions.iter().enumerate() {
        body.push_str(if index > 0 { "," } else { "" });
        push_session(&mut body, session, items);
    }
    body.push_str("]}");
    body
}

fn push_session(body: &mut String, session: &SessionName, items: &[StoredItem]) {
    let from = items.first().map_or(0, |item| item.seq);
    let session = session.as_str();
    let _ = write!(body, r#"{{"session":"{session}","from":{from},"items":["#);
    for (index, StoredItem { seq, at, json }) in items.iter().enumerate() {
        body.push_str(if index > 0 { "," } else { "" });
        // The fields of the item follow its number and time.
        let fields = json.strip_prefix('{').unwrap_or("}");
        let _ = write!(body, r#"{{"seq":{seq},"at":{at},{fields}"#);
    }
    body.push_str("]}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::JournalLimits;
    use gateway_protocol::{Deliveries, SessionDelivery};

    #[tokio::test]
    async fn request_body_is_the_json_of_the_protocol() {
        let data = tempfile::tempdir().unwrap();
        let journal = Journal::open(data.path(), JournalLimits::default()).await.unwrap();
        let json = r#"{"kind":"contact","contacts":[]}"#;
        let item = |seq| StoredItem { seq, at: 5, json: json.to_owned() };
        let session = |name| SessionName::parse(name).unwrap();
        let batch = Batch {
            sessions: vec![(session("a"), vec![item(3), item(4)]), (session("b"), vec![item(9)])],
        };
        let body: Deliveries =
            serde_json::from_str(&request_body("in\"c", &journal, &batch)).unwrap();
        assert_eq!((body.incarnation.as_str(), body.journal.as_str()), ("in\"c", journal.name()));
        let read: Vec<_> = body
            .deliveries
            .iter()
            .map(|SessionDelivery { session, from, items }| {
                (session.as_str(), *from, items.iter().map(|i| (i.seq, i.at)).collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(read, [("a", 3, vec![(3, 5), (4, 5)]), ("b", 9, vec![(9, 5)])]);
    }
}
