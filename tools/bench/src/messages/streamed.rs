//! What the event stream tells of messages, with the time at which a client has read each event.

use std::{collections::BTreeMap, thread, time::Duration};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;
use testbed::{client::Api, http};
use tokio::{runtime, time::timeout};

use crate::{
    connection::stream_request,
    followed::{Followed, StreamRequest},
    session_writer::now,
};

/// Number of messages that the stream has to tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ExpectedMessages {
    pub(super) received: usize,
    pub(super) sent: usize,
}

/// The messages of which the stream has told. Times are nanoseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct StreamedMessages {
    /// Received messages by id, with the number at the beginning of the text.
    pub(super) received: BTreeMap<String, (u64, u64)>,
    /// Messages of berth that WhatsApp has, by id.
    pub(super) sent: BTreeMap<String, u64>,
    repeated: usize,
    failed: Option<String>,
}

/// Runs `write` while a client follows the stream until all expected messages are told. Returns
/// the result of `write` too.
pub(super) fn follow<T: Send>(
    api: &Api,
    expected: ExpectedMessages,
    patience: Duration,
    write: impl FnOnce() -> Result<T> + Send,
) -> Result<(T, StreamedMessages)> {
    let address = http::address(api.base())?;
    let request = stream_request(address, "/api/v1/events?event=message.*", api.credential());
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let mut followed = runtime.block_on(Followed::open(&StreamRequest { address, request }))?;
    let mut streamed = StreamedMessages::default();
    let written = thread::scope(|scope| {
        let writing = scope.spawn(write);
        let reading = followed.read_while(|event| {
            streamed.take(event);
            streamed.failed.is_none()
                && (streamed.received.len() < expected.received
                    || streamed.sent.len() < expected.sent)
        });
        let read = runtime.block_on(async { timeout(patience, reading).await });
        let written = writing.join().map_err(|_| anyhow!("the writer panicked"))??;
        read.context("messages are missing").and_then(|read| read).with_context(|| {
            format!(
                "{} received and {} sent are told",
                streamed.received.len(),
                streamed.sent.len()
            )
        })?;
        Ok::<_, anyhow::Error>(written)
    })?;
    ensure!(streamed.failed.is_none(), "a message failed: {:?}", streamed.failed);
    ensure!(streamed.repeated == 0, "{} messages are told twice", streamed.repeated);
    Ok((written, streamed))
}

impl StreamedMessages {
    fn take(&mut self, event: &[u8]) {
        let at = now();
        let Ok(event) = serde_json::from_slice::<Value>(event) else { return };
        let payload = &event["payload"];
        let Some(id) = payload["waMessageId"].as_str().map(str::to_owned) else { return };
        match (event["event"].as_str(), payload["status"].as_str()) {
            (Some("message"), _) if payload["direction"] == "in" => {
                let number = payload["body"].as_str().and_then(number).unwrap_or_default();
                let earlier = self.received.insert(id, (number, at));
                self.repeated += usize::from(earlier.is_some());
            }
            (Some("message.status"), Some("sent" | "delivered" | "read")) => {
                self.sent.entry(id).or_insert(at);
            }
            (Some("message.status"), Some("failed")) => self.failed = Some(event.to_string()),
            _ => {}
        }
    }
}

fn number(text: &str) -> Option<u64> {
    text.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_messages_are_counted_by_id() {
        let mut streamed = StreamedMessages::default();
        let status = |status: &str| {
            format!(
                r#"{{"event":"message.status","payload":{{"waMessageId":"B","status":"{status}"}}}}"#
            )
        };
        let received =
            r#"{"event":"message","payload":{"waMessageId":"A","direction":"in","body":"17 x"}}"#;
        for event in [received, &status("sent"), &status("delivered")] {
            streamed.take(event.as_bytes());
        }
        assert_eq!(streamed.received["A"].0, 17);
        assert_eq!(
            (streamed.sent.len(), streamed.repeated, streamed.failed.is_none()),
            (1, 0, true)
        );
        streamed.take(received.as_bytes());
        streamed.take(status("failed").as_bytes());
        assert_eq!((streamed.repeated, streamed.failed.is_some()), (1, true));
    }
}
